//! What Home Assistant is to make of our messages, in its template language (Jinja).

use std::fmt::Write as _;

/// Home Assistant keeps no state that is longer.
pub(super) const MAX_STATE_CHARS: usize = 255;

/// `disabled` and anything else that is not `online` count as away.
pub(super) const IS_ONLINE: &str = "{{ 'online' if value == 'online' else 'offline' }}";

/// A camera's status as `online`, `offline`, or unknown (`None`) where it is disabled.
pub(super) const STREAM: &str = "{{ value if value in ['online', 'offline'] else 'None' }}";

/// What the daemon is doing.
pub(super) const STATE: &str = "{{ value_json.state }}";

/// How far building has come, and nothing in all other states.
pub(super) const STATE_ATTRIBUTES: &str = concat!(
    "{% if value_json.state == 'building' %}",
    "{\"percent\": {{ value_json.percent }}, \"graph\": {{ value_json.graph | tojson }}}",
    "{% else %}{}{% endif %}"
);

/// The number of regions of a result.
pub(super) const REGION_COUNT: &str = "{{ value_json.regions | length }}";

/// `{"counts": {"car": 2, "person": 1}}`. Only what changes when the picture's contents change: with the
/// frame's number or time in it, each frame would be a row in Home Assistant's database.
pub(super) const LABEL_COUNTS: &str = concat!(
    "{\"counts\": { ",
    "{% for label, regions in value_json.regions | groupby('label', case_sensitive=true) %}",
    "{{ label | tojson }}: {{ regions | length }}{{ '' if loop.last else ', ' }}",
    "{% endfor %}} }"
);

/// The answer's words.
const TEXT: &str = "value_json.text";

/// The words of the regions: the answer of `ocr-with-region` has its coordinates between its words.
const LABELS: &str = "value_json.regions | map(attribute='label') | join(' ')";

/// Where a task's words are in its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// In `text`.
    Text,
    /// In the labels of the regions.
    Labels,
}

impl Words {
    fn expression(self) -> &'static str {
        match self {
            Words::Text => TEXT,
            Words::Labels => LABELS,
        }
    }

    /// The words, cut with `…` where they are longer than a state may be.
    pub(super) fn state(self) -> String {
        format!(
            "{{{{ ({}) | truncate(length={MAX_STATE_CHARS}, killwords=true, end='…', leeway=0) }}}}",
            self.expression()
        )
    }

    /// `{"text": "all of the words"}`, and nothing that changes with each frame.
    pub(super) fn attributes(self) -> String {
        format!("{{\"text\": {{{{ ({}) | tojson }}}} }}", self.expression())
    }
}

/// The number of regions of the results about `input`; nothing, which leaves the state as it is, for
/// those about something else on the same topic.
pub(super) fn region_count_about(input: &str) -> String {
    format!("{{% if value_json.input == {} %}}{REGION_COUNT}{{% endif %}}", quoted(input))
}

/// A member of a camera's statistics; `None`, which is unknown, where there is none.
pub(super) fn camera_statistic(camera: &str, member: &str) -> String {
    statistic(&format!("cameras['{camera}'].{member}"))
}

/// A member of the statistics; `None`, which is unknown, where there is none.
pub(super) fn statistic(path: &str) -> String {
    format!("{{{{ value_json.{path} if value_json.{path} is not none else 'None' }}}}")
}

/// Messages of ours that the broker never had, whatever the reason.
pub(super) const DROPPED_MESSAGES: &str = concat!(
    "{{ value_json.mqtt.dropped_outbox_full + value_json.mqtt.dropped_too_large + value_json.mqtt.dropped_events",
    " + value_json.mqtt.dropped_snapshots + value_json.mqtt.dropped_states + value_json.mqtt.dropped_refused }}"
);

/// Frames of a camera that were wanted and could not be analysed.
pub(super) fn lost_frames(camera: &str) -> String {
    let dropped = format!("value_json.cameras['{camera}'].dropped");
    format!("{{{{ {dropped}.superseded + {dropped}.unreadable + {dropped}.failed }}}}")
}

/// Text from outside as a string literal. What could end it, or mean something inside it, is written as
/// an escape; what is not ASCII stands as it is, since escapes above U+FFFF are not the same in every
/// implementation of the language.
fn quoted(text: &str) -> String {
    let mut literal = String::from("'");
    for character in text.chars() {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' => literal.push(character),
            _ if character.is_ascii() || character.is_control() => {
                let _ = write!(literal, "\\u{:04x}", u32::from(character));
            }
            _ => literal.push(character),
        }
    }
    literal.push('\'');
    literal
}

#[cfg(test)]
mod tests {
    use minijinja::Environment;
    use serde_json::{Value, json};

    use super::{
        DROPPED_MESSAGES, IS_ONLINE, LABEL_COUNTS, REGION_COUNT, STATE, STATE_ATTRIBUTES, STREAM, Words,
        camera_statistic, lost_frames, region_count_about,
    };
    use crate::mqtt::MqttCounters;

    /// As Home Assistant renders: the payload as `value`, and as `value_json` where it is JSON.
    fn render(template: &str, payload: &str) -> String {
        let mut environment = Environment::new();
        environment.add_filter("truncate", minijinja_contrib::filters::truncate);
        let value_json: Option<Value> = serde_json::from_str(payload).ok();
        environment.render_str(template, json!({ "value": payload, "value_json": value_json })).unwrap()
    }

    fn result(text: &str, labels: &[&str]) -> String {
        let regions: Vec<Value> = labels.iter().map(|label| json!({ "label": label })).collect();
        json!({ "text": text, "regions": regions }).to_string()
    }

    #[test]
    fn only_online_is_online() {
        for (status, expected) in
            [("online", "online"), ("offline", "offline"), ("disabled", "offline"), ("", "offline")]
        {
            assert_eq!(render(IS_ONLINE, status), expected);
        }
        assert_eq!(render(STREAM, "disabled"), "None");
        assert_eq!(render(STREAM, "offline"), "offline");
    }

    #[test]
    fn the_attributes_of_the_state_are_those_of_building() {
        let building = r#"{"state":"building","since":"2026","percent":61,"graph":"encoder","phase":"a b"}"#;
        assert_eq!(render(STATE, building), "building");
        let attributes: Value = serde_json::from_str(&render(STATE_ATTRIBUTES, building)).unwrap();
        assert_eq!(attributes, json!({ "percent": 61, "graph": "encoder" }));
        assert_eq!(render(STATE_ATTRIBUTES, r#"{"state":"running","device":"CPU"}"#), "{}");
    }

    #[test]
    fn a_caption_as_state_is_whole_up_to_the_limit_and_cut_beyond_it() {
        let fits = "ö".repeat(255);
        assert_eq!(render(&Words::Text.state(), &result(&fits, &[])), fits);
        let long = render(&Words::Text.state(), &result(&"🪜".repeat(256), &[]));
        assert_eq!(long, format!("{}…", "🪜".repeat(254)));
        assert_eq!(render(&Words::Text.state(), &result("", &[])), "");
    }

    #[test]
    fn the_attributes_hold_all_of_the_text_and_stay_json() {
        let text = format!("a \"quoted\" \\ {{{{ 7 * 7 }}}} line\nbreak 🪜 {}", "x".repeat(300));
        let attributes = render(&Words::Text.attributes(), &result(&text, &[]));
        assert_eq!(serde_json::from_str::<Value>(&attributes).unwrap(), json!({ "text": text }));
    }

    #[test]
    fn the_words_of_regions_are_joined() {
        let payload = result("EXIT<loc_1>12<loc_2>", &["EXIT", "12"]);
        assert_eq!(render(&Words::Labels.state(), &payload), "EXIT 12");
    }

    #[test]
    fn labels_are_counted_as_they_are_written() {
        let payload = result("", &["car", "person", "car", "Car", "a \"b\""]);
        assert_eq!(render(REGION_COUNT, &payload), "5");
        let counts: Value = serde_json::from_str(&render(LABEL_COUNTS, &payload)).unwrap();
        assert_eq!(counts, json!({ "counts": { "car": 2, "person": 1, "Car": 1, "a \"b\"": 1 } }));
    }

    #[test]
    fn no_regions_are_none_counted() {
        assert_eq!(render(REGION_COUNT, &result("", &[])), "0");
        let counts: Value = serde_json::from_str(&render(LABEL_COUNTS, &result("", &[]))).unwrap();
        assert_eq!(counts, json!({ "counts": {} }));
    }

    #[test]
    fn an_answer_about_something_else_leaves_the_state_as_it_is() {
        for input in ["red van", "a'b\"c", "{{ 7 * 7 }} {% raw %} {# #}", "back\\slash", "Ü🪜", "line\nend"]
        {
            let template = region_count_about(input);
            let about = json!({ "input": input, "regions": [{ "label": "x" }] }).to_string();
            assert_eq!(render(&template, &about), "1", "{template}");
            let other = json!({ "input": "something else", "regions": [] }).to_string();
            assert_eq!(render(&template, &other), "");
        }
    }

    #[test]
    fn every_reason_for_which_a_message_is_dropped_counts_and_those_of_others_do_not() {
        let counters = MqttCounters::default();
        let mut counts = serde_json::to_value(counters.counts()).unwrap();
        let mut expected = 0;
        for (name, count) in counts.as_object_mut().unwrap() {
            *count = json!(3);
            expected += if name.starts_with("dropped_") && name != "dropped_incoming" { 3 } else { 0 };
        }
        let stats = json!({ "mqtt": counts }).to_string();
        assert_eq!(render(DROPPED_MESSAGES, &stats), expected.to_string());
    }

    #[test]
    fn statistics_that_are_missing_are_unknown() {
        let stats = json!({ "cameras": { "side-door": {
            "analysed_fps": 1.96, "mean_age_ms": null,
            "dropped": { "fps": 700, "superseded": 3, "unreadable": 2, "failed": 1, "cancelled": 9 },
        } } })
        .to_string();
        assert_eq!(render(&camera_statistic("side-door", "analysed_fps"), &stats), "1.96");
        assert_eq!(render(&camera_statistic("side-door", "mean_age_ms"), &stats), "None");
        assert_eq!(render(&lost_frames("side-door"), &stats), "6");
    }
}
