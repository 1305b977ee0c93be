//! What GStreamer's registry knows of an element, without making one.

use std::collections::BTreeSet;

use gstreamer as gst;

/// Ordinary memory, as caps have it.
const SYSTEM_MEMORY: &str = "memory:SystemMemory";

/// What an element takes and gives, by its pads' templates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ElementFacts {
    /// Media types; `None` for anything.
    pub(crate) takes: Option<BTreeSet<String>>,
    /// Kinds of memory in which raw video comes out; empty where that is all ordinary memory.
    pub(crate) device_memory: BTreeSet<String>,
    /// Whether raw video comes out in ordinary memory too.
    pub(crate) gives_ordinary_memory: bool,
}

impl ElementFacts {
    /// Those of an installed element; `None` where it is not.
    pub(crate) fn of(element: &str) -> Option<Self> {
        let factory = gst::ElementFactory::find(element)?;
        let mut facts = Self { takes: Some(BTreeSet::new()), ..Self::default() };
        for template in factory.static_pad_templates() {
            let caps = template.caps();
            match template.direction() {
                gst::PadDirection::Sink if caps.is_any() => facts.takes = None,
                gst::PadDirection::Sink => {
                    let names = caps.iter().map(|structure| structure.name().to_string());
                    facts.takes = facts.takes.map(|takes| takes.into_iter().chain(names).collect());
                }
                gst::PadDirection::Src => facts.add_output(&caps),
                _ => {}
            }
        }
        Some(facts)
    }

    fn add_output(&mut self, caps: &gst::Caps) {
        if caps.is_any() {
            self.gives_ordinary_memory = true;
        }
        for (structure, features) in caps.iter_with_features() {
            if structure.name() != "video/x-raw" {
                continue;
            }
            let memory = features.iter().find(|feature| feature.starts_with("memory:"));
            match memory {
                Some(memory) if memory != SYSTEM_MEMORY => {
                    self.device_memory.insert(memory.to_string());
                }
                _ => self.gives_ordinary_memory = true,
            }
        }
    }

    /// Whether data of this media type may go in.
    pub(crate) fn takes(&self, media_type: &str) -> bool {
        self.takes.as_ref().is_none_or(|takes| takes.contains(media_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_of_the_cpu_takes_its_codec_and_gives_ordinary_memory() {
        crate::start_gstreamer().unwrap();
        let facts = ElementFacts::of("avdec_h264").unwrap();
        assert!(facts.takes("video/x-h264") && !facts.takes("video/x-h265"));
        assert!(facts.gives_ordinary_memory && facts.device_memory.is_empty(), "{facts:?}");
        assert!(ElementFacts::of("identity").unwrap().takes("anything"));
        assert_eq!(ElementFacts::of("no-such-element"), None);
    }

    #[test]
    fn memory_of_a_device_is_told_from_ordinary_memory() {
        crate::start_gstreamer().unwrap();
        let of = |caps: &str| {
            let mut facts = ElementFacts::default();
            facts.add_output(&caps.parse().unwrap());
            (facts.device_memory.into_iter().collect::<Vec<_>>(), facts.gives_ordinary_memory)
        };
        let nvmm = || vec!["memory:NVMM".to_owned()];
        assert_eq!(of("video/x-raw(memory:NVMM),format=NV12"), (nvmm(), false));
        assert_eq!(of("video/x-raw(memory:NVMM); video/x-raw"), (nvmm(), true));
        assert_eq!(of("video/x-raw(meta:GstVideoOverlayComposition)"), (vec![], true));
        assert_eq!(of("audio/x-raw"), (vec![], false));
    }
}
