"""Checks announcements, and what their templates make of messages, with Home Assistant's own code.

See README.md for how to run it. Reads lines of {"topic": ..., "payload": ...} from standard input.
"""

import asyncio
import importlib
import json
import re
import sys
import tempfile

from homeassistant.components.mqtt import discovery
from homeassistant.components.mqtt.models import MqttValueTemplate
from homeassistant.core import HomeAssistant, valid_entity_id

PLATFORMS = {
    name: importlib.import_module(f"homeassistant.components.mqtt.{name}")
    for name in ("binary_sensor", "event", "image", "sensor", "switch")
}
# Home Assistant 2025.10 and later.
NEWER_OPTIONS = {"default_entity_id"}
LONG = "a \"quoted\" word, a back\\slash, {{ 7 * 7 }}\n" + "🪜" * 300


def result(text="", labels=(), **more):
    return json.dumps({"text": text, "regions": [{"label": label} for label in labels], **more})


def stats(camera):
    dropped = {"fps": 700, "superseded": 3, "unreadable": 2, "failed": 1, "cancelled": 9}
    numbers = {"analysed_fps": 1.96, "mean_age_ms": None, "reconnects": 4, "dropped": dropped}
    mqtt = {"published": 9, "connects": 1, "dropped_outbox_full": 5, "waiting": 0}
    return json.dumps({
        "uptime_s": 61, "version": "0.1.0", "device": "CPU, 2 threads", "peak_memory_bytes": 123,
        "mqtt": mqtt, "cameras": {camera: numbers},
    })


# By the key's beginning: payloads, and the state that each is to give.
STATES = {
    "stream": [("online", "online"), ("offline", "offline"), ("disabled", "None")],
    "caption": [(result("a car"), "a car")],
    "detailed_caption": [(result(LONG), LONG[:254] + "…"), (result("x" * 255), "x" * 255), (result(), "")],
    "ocr_with_region": [(result("EXIT<loc_1>", ["EXIT", "12"]), "EXIT 12")],
    "object_detection": [(result(labels=["car", "car", "person"]), "3"), (result(), "0")],
    "phrase_grounding": [(result(labels=["x"], input="something else"), "")],
    "analysed_fps": [("STATS", "1.96")],
    "frame_age": [("STATS", "None")],
    "reconnects": [("STATS", "4")],
    "dropped": [("STATS", "6")],
    "uptime": [("STATS", "61")],
    "version": [("STATS", "0.1.0")],
    "model_device": [("STATS", "CPU, 2 threads")],
    "messages_dropped": [("STATS", "5")],
    "peak_memory": [("STATS", "123")],
}
ATTRIBUTES = {
    "caption": [(result("a car"), {"text": "a car"})],
    "detailed_caption": [(result(LONG), {"text": LONG})],
    "ocr_with_region": [(result("EXIT<loc_1>", ["EXIT", "12"]), {"text": "EXIT 12"})],
    "object_detection": [
        (result(labels=["car", "car", "Car", "<b>\"'"]), {"counts": {"car": 2, "Car": 1, "<b>\"'": 1}}),
        (result(), {"counts": {}}),
    ],
}


async def main():
    hass = HomeAssistant(tempfile.mkdtemp())
    problems, devices, entities, rendered, tombstones = [], 0, 0, 0, 0

    def render(template, payload):
        nonlocal rendered
        rendered += 1
        return MqttValueTemplate(template).async_render_with_possible_json_value(payload)

    for line in sys.stdin:
        if not line.startswith("{\"payload\""):
            continue
        message = json.loads(line)
        topic = message["topic"]
        found = re.fullmatch(r"homeassistant/device/([a-zA-Z0-9_-]+)/config", topic)
        if not message["payload"] or not found:
            continue
        devices += 1
        # Expands abbreviations and applies DEVICE_DISCOVERY_SCHEMA; empty where that fails.
        device = discovery._parse_device_payload(hass, message["payload"], found[1], None)
        if not device:
            problems.append(f"{topic}: refused")
            continue
        for key, options in device["components"].items():
            place = f"{topic} {key}"
            platform = options.pop("platform")
            if not options:
                tombstones += 1
                continue
            entities += 1
            config = discovery.MQTTDiscoveryPayload(options)
            config["device"], config["origin"] = device["device"], device["origin"]
            discovery._merge_common_device_options(config, device)
            try:
                valid = PLATFORMS[platform].DISCOVERY_SCHEMA(dict(config))
            except Exception as error:
                problems.append(f"{place}: {error}")
                continue
            if unknown := set(config) - set(valid) - NEWER_OPTIONS:
                problems.append(f"{place}: unknown options {unknown}")
            if valid["qos"] != 1:
                problems.append(f"{place}: QoS {valid['qos']}")
            if not valid_entity_id(options["default_entity_id"]):
                problems.append(f"{place}: {options['default_entity_id']} is no entity id")
            if not options["default_entity_id"].startswith(platform + "."):
                problems.append(f"{place}: {options['default_entity_id']} is of another domain")
            for availability in valid["availability"]:
                if template := availability.get("value_template"):
                    for status, expected in [("online", "online"), ("offline", "offline"), ("disabled", "offline")]:
                        if render(template, status) != expected:
                            problems.append(f"{place}: availability of {status}")
            camera = found[1].partition("-")[2]
            bare = re.sub(r"_[0-9a-f]{8}$", "", key)
            for payload, expected in STATES.get(bare, []):
                payload = stats(camera) if payload == "STATS" else payload
                state = render(valid["value_template"], payload)
                if state != expected or len(state) > 255:
                    problems.append(f"{place}: {payload[:80]} gives {state[:80]!r}, not {expected[:80]!r}")
            if bare == "phrase_grounding":
                asked = ["a \"red\" {{ van }} 🚐", "a dog's bowl"]
                states = [render(valid["value_template"], result(labels=["x"], input=each)) for each in asked]
                if sorted(states) != ["", "1"]:
                    problems.append(f"{place}: {states}")
            for payload, expected in ATTRIBUTES.get(bare, []):
                attributes = json.loads(render(valid["json_attributes_template"], payload))
                if attributes != expected:
                    problems.append(f"{place}: attributes {attributes}")
    for problem in problems:
        print(problem)
    print(f"{devices} devices, {entities} entities, {tombstones} tombstones, {rendered} templates rendered:",
          f"{len(problems)} problems")
    await hass.async_stop(force=True)
    return 1 if problems or not entities or not rendered else 0


sys.exit(asyncio.run(main()))
