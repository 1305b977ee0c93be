use std::thread;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;

/// `parsebin` takes microseconds, more only where the processor is taken from it. Past this the element
/// runs as it would have without a wait.
const PLUGGED_WITHIN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Lets no element that `parsebin` puts in have its first data before it is in for good.
///
/// While `parsebin` tries an element it drops the element's errors, and it stops doing so only a moment
/// after the element has begun to read on a thread of its own. A demuxer that fails in that moment, such as
/// that of an MP4 cut before its index, is never heard of: no error, no end, no picture, in whatever state
/// the pipeline is. The element's state is locked until that moment is over.
///
/// Only pulled data is held back, on the thread of the element that pulls: pushed data comes from the thread
/// that puts the element in.
pub(super) fn hold_back_until_plugged(parser: &gst::Element) {
    let Some(bin) = parser.downcast_ref::<gst::Bin>() else { return };
    bin.connect_element_added(|_, element| {
        let Some(entry) = element.static_pad("sink") else { return };
        entry.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::PULL, |pad, _| {
            let until = Instant::now() + PLUGGED_WITHIN;
            while pad.parent_element().is_some_and(|element| element.is_locked_state())
                && Instant::now() < until
            {
                thread::sleep(LOOK_EVERY);
            }
            // The data itself passes.
            gst::PadProbeReturn::Remove
        });
    });
}
