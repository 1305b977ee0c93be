// The page: cameras, alerts, and what there is to say about the daemon itself.

import { AlertList } from "./alerts.js";
import { CameraCard } from "./camera_card.js";
import { arrange, h, setAttribute, setText } from "./dom.js";
import { Live } from "./live.js";
import { length } from "./times.js";

const live = new Live();
const waiting = h("div", { class: "empty" },
  h("h2", {}, "Connecting…"), h("p", {}, "Waiting for Belvedere to say what is so."));
const cards = new Map();
const section = document.getElementById("cameras");
const banners = document.getElementById("banners");
/** The banners by what they say; what is told of a start is always in the same one. */
const shownBanners = new Map();

new AlertList(document.getElementById("alert-list"), live);

live.addEventListener("cameras", () => {
  for (const [name, card] of cards) {
    if (live.cameras.some((camera) => camera.name === name)) continue;
    card.remove();
    cards.delete(name);
  }
  for (const camera of live.cameras) {
    let card = cards.get(camera.name);
    if (!card) {
      card = new CameraCard(camera, live);
      cards.set(camera.name, card);
    }
    card.configure(camera, live.tasks);
  }
  // A configuration has cameras: without any it has not been taken up yet.
  arrange(section, cards.size ? live.cameras.map(({ name }) => cards.get(name).element) : [waiting]);
  section.classList.toggle("single", cards.size === 1);
});

live.addEventListener("state", () => {
  for (const now of live.state.cameras) cards.get(now.name)?.update(now, live.state.phase);
  summarise(live.state);
});
live.addEventListener("picture", ({ detail }) => cards.get(detail.sight.camera)?.show(detail));
live.addEventListener("connection", () => {
  document.body.classList.toggle("gone", !live.isConnected);
  if (live.state) summarise(live.state);
  else showBanners();
});
// Whether anything comes or not.
setInterval(() => cards.forEach((card) => card.date()), 1000);
// What the number in the title says would grow old unseen.
live.addEventListener("asleep", () => (document.title = "Belvedere"));
arrange(section, [waiting]);
live.start();

function summarise(state) {
  const all = state.cameras.length;
  const count = (wanted) => state.cameras.filter((camera) => camera.state === wanted).length;
  const [online, offline, on] = [count("online"), count("offline"), state.cameras.flatMap((camera) => camera.alerts_on)];
  const parts = [];
  if (!live.isConnected) parts.push("not connected");
  else if (all && online + offline === 0) parts.push("switched off");
  else if (all === 1) parts.push(offline ? "camera offline" : "1 camera online");
  else if (all) parts.push(offline ? `${online} of ${all} cameras online` : `all ${online} cameras online`);
  if (live.isConnected && on.length) parts.push(`${on.length} alert${on.length === 1 ? "" : "s"} now`);
  setText(document.getElementById("summary"), parts.join(" · "));
  document.title = on.length && live.isConnected ? `(${on.length}) Belvedere` : "Belvedere";

  const broker = document.getElementById("broker");
  broker.hidden = !live.isConnected;
  broker.className = `pill ${state.mqtt.connected ? "good" : "bad"}`;
  setText(broker, state.mqtt.connected ? "Broker connected" : "Broker away");
  showBanners(state);
  const device = state.device ? `${state.device} · ` : "";
  document.getElementById("log-out").hidden = !state.login;
  setText(document.getElementById("foot"), `${device}Belvedere ${state.version} · up ${length(state.uptime_s)}`);
}

function showBanners(state) {
  const messages = [];
  if (!live.isConnected) {
    messages.push(["bad", "Belvedere does not answer. What is shown here is old; the page tries again by itself."]);
  } else if (state) {
    if (state.phase.name === "starting") messages.push(["calm", `Starting: ${state.phase.detail}. Cameras follow.`]);
    if (state.phase.name === "stopping") messages.push(["calm", "Belvedere is being stopped."]);
    if (state.notice) messages.push(["bad", state.notice]);
    const { connected, waiting, spooled, spool_in_memory_only } = state.mqtt;
    if (!connected && state.phase.name === "running") {
      const kept = spooled ? `${spooled === 1 ? "1 message waits" : `${spooled} messages wait`} for it` : "Alerts will wait for it";
      const where = spool_in_memory_only ? ", in memory only: a restart loses what waits" : "";
      messages.push(["warn", `The MQTT broker is away. ${kept}${where}.`]);
    } else if (connected && spool_in_memory_only && waiting > 1000) {
      messages.push(["warn", "Alerts are kept in memory only; a restart would lose those that wait."]);
    }
  }
  const wanted = new Map(messages.map(([kind, words]) => [kind === "calm" ? kind : words, [kind, words]]));
  for (const said of [...shownBanners.keys()]) if (!wanted.has(said)) shownBanners.delete(said);
  for (const [said, [kind, words]] of wanted) {
    // What is calm interrupts nobody who has the page read to them.
    const role = kind === "calm" ? "status" : "alert";
    if (!shownBanners.has(said)) shownBanners.set(said, h("p", { role }));
    const banner = shownBanners.get(said);
    setAttribute(banner, "class", `banner ${kind}`);
    setText(banner, words);
  }
  arrange(banners, [...wanted.keys()].map((said) => shownBanners.get(said)));
}
