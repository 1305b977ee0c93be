use std::sync::Arc;

use tempfile::TempDir;

use super::{Class, MAX_RESULTS, MqttCounters, Outbox};
use crate::mqtt::spool::SpoolLimits;

fn outbox() -> (Outbox, Arc<MqttCounters>) {
    let counters = Arc::new(MqttCounters::default());
    (Outbox::in_memory(counters.clone()).unwrap(), counters)
}

fn topics(outbox: &Outbox) -> Vec<String> {
    std::iter::from_fn(|| outbox.take(true)).map(|message| message.topic).collect()
}

#[test]
fn a_full_outbox_drops_its_oldest_result_and_counts_it() {
    let (outbox, counters) = outbox();
    for index in 0..MAX_RESULTS + 3 {
        outbox.push_result(index.to_string(), Vec::new());
    }
    assert_eq!(outbox.len(), MAX_RESULTS);
    assert_eq!(outbox.take(true).unwrap().topic, "3");
    assert_eq!(counters.counts().dropped_outbox_full, 3);
}

#[test]
fn bytes_are_bounded_too() {
    let (outbox, counters) = outbox();
    for index in 0..5 {
        outbox.push_result(index.to_string(), vec![0; 10 << 20]);
    }
    assert_eq!(topics(&outbox), ["2", "3", "4"]);
    assert_eq!(counters.counts().dropped_outbox_full, 2);
}

#[test]
fn a_result_larger_than_a_packet_is_dropped_and_counted() {
    let (outbox, counters) = outbox();
    outbox.push_result("big".to_owned(), vec![0; 16 << 20]);
    assert!(outbox.is_empty());
    assert_eq!(counters.counts().dropped_too_large, 1);
}

#[test]
fn only_the_last_state_of_a_topic_is_sent_and_before_results() {
    let (outbox, _) = outbox();
    outbox.push_result("result".to_owned(), Vec::new());
    outbox.set_state("porch/status".to_owned(), "offline");
    outbox.set_state("porch/status".to_owned(), "online");
    let first = outbox.take(true).unwrap();
    assert_eq!((first.topic.as_str(), first.class), ("porch/status", Class::State));
    assert_eq!(first.payload, b"online");
    assert_eq!(topics(&outbox), ["result"]);
}

#[test]
fn every_state_goes_out_again_after_a_connection_and_available_last() {
    let (outbox, _) = outbox();
    for topic in ["available", "porch/status", "yard/status"] {
        outbox.set_state(topic.to_owned(), "online");
    }
    assert_eq!(topics(&outbox).len(), 3);
    outbox.resend_states("available");
    assert_eq!(topics(&outbox), ["porch/status", "yard/status", "available"]);
}

#[test]
fn results_that_were_not_sent_keep_their_order() {
    let (outbox, _) = outbox();
    for topic in ["a", "b", "c"] {
        outbox.push_result(topic.to_owned(), Vec::new());
    }
    let taken = [outbox.take(true).unwrap(), outbox.take(true).unwrap()];
    outbox.give_back(taken.into_iter());
    assert_eq!(topics(&outbox), ["a", "b", "c"]);
}

/// Everything there is, whatever the thread of the spool has read so far: topics and payloads.
fn all(outbox: &Outbox) -> Vec<(String, String)> {
    let mut all = Vec::new();
    while !outbox.is_empty() {
        assert!(outbox.flush(std::time::Duration::from_secs(20)));
        while let Some(message) = outbox.take(true) {
            all.push((message.topic, String::from_utf8(message.payload).unwrap()));
            if let Class::Spooled { id, .. } = message.class {
                outbox.acknowledge(id);
            }
        }
    }
    all
}

#[test]
fn what_a_topic_holds_after_it_was_taken_back_does_not_overtake_its_end() {
    let (outbox, _) = outbox();
    let said = |topic: &str, payload: &str| (topic.to_owned(), payload.to_owned());
    outbox.set_state("porch/status".to_owned(), "online");
    outbox.set_state("yard/status".to_owned(), "online");
    outbox.take_back(["porch/status".to_owned()]);
    assert_eq!(all(&outbox), [said("yard/status", "online"), said("porch/status", "")]);
    outbox.take_back(["yard/status".to_owned()]);
    outbox.set_state("yard/status".to_owned(), "offline");
    outbox.set_state("yard/status".to_owned(), "online");
    assert_eq!(all(&outbox).last(), Some(&said("yard/status", "online")));
    outbox.resend_states("available");
    assert_eq!(all(&outbox), [said("yard/status", "online")]);
}

#[test]
fn what_a_process_took_back_does_not_follow_what_the_next_one_says() {
    let folder = TempDir::new().unwrap();
    let open =
        || Outbox::open(folder.path().join("spool.db"), SpoolLimits::default(), Arc::default()).unwrap();
    open().take_back(["porch/status".to_owned()]);
    let next = open();
    next.set_state("porch/status".to_owned(), "online");
    assert_eq!(all(&next).last(), Some(&("porch/status".to_owned(), "online".to_owned())));
}
