//! Which token ids have a meaning of their own.

/// Location tokens of an axis: a picture is divided into this many columns and rows.
pub(crate) const LOCATION_BINS: u16 = 1000;

/// More tokens than any vocabulary that could be meant: arithmetic on ids stays far from overflow on a hostile file.
pub(crate) const MAX_TOKENS: usize = 1 << 20;

/// The ids that decoding and parsing must know. They are looked up in the tokenizer: other vocabularies have others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vocabulary {
    /// `<s>`, first token of every prompt and, forced, of every answer.
    pub bos: u32,
    /// `<pad>`, filler behind shorter rows of a batch.
    pub pad: u32,
    /// `</s>`, last token of every prompt and answer; also the decoder's start token.
    pub eos: u32,
    /// `<loc_0>`; `<loc_k>` is `first_location + k` for k below 1000.
    pub first_location: u32,
    /// `<sep>`, between the polygons of one object.
    pub separator: u32,
    /// `<poly>`, before the polygons of one object.
    pub polygon_start: u32,
    /// `</poly>`, after the polygons of one object.
    pub polygon_end: u32,
    /// `<and>`, between the phrases of one prompt.
    pub and: u32,
    /// `<image>`, the native processor's placeholder for an image embedding: in no prompt and no answer.
    pub image: u32,
    /// Ids that may be generated are below this: 51289 in the published checkpoints, whose embedding may have more
    /// rows (51328 in the native layout). Logits from here on belong to no token, or to `<image>`.
    pub len: u32,
}

/// What a token id means to a parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A piece of text, or a special token that parsers treat as text.
    Text,
    /// `<loc_k>`: bin k of 1000 on an axis.
    Location(u16),
    /// `<sep>`.
    Separator,
    /// `<poly>`.
    PolygonStart,
    /// `</poly>`.
    PolygonEnd,
    /// `</s>`.
    EndOfSequence,
    /// `<s>`, `<pad>`, `<image>` and ids outside the vocabulary: nothing.
    Ignored,
}

impl Vocabulary {
    /// What a token id means. Every `u32` has an answer: ids come from a model.
    pub fn kind(&self, id: u32) -> TokenKind {
        if let Some(bin) = id.checked_sub(self.first_location).filter(|bin| *bin < u32::from(LOCATION_BINS)) {
            // Below 1000, so it fits.
            return TokenKind::Location(bin as u16);
        }
        match id {
            id if id == self.eos => TokenKind::EndOfSequence,
            id if [self.bos, self.pad, self.image].contains(&id) || id >= self.len => TokenKind::Ignored,
            id if id == self.separator => TokenKind::Separator,
            id if id == self.polygon_start => TokenKind::PolygonStart,
            id if id == self.polygon_end => TokenKind::PolygonEnd,
            _ => TokenKind::Text,
        }
    }

    /// The id of `<loc_bin>`; bins above 999 are taken as 999.
    pub fn location(&self, bin: u16) -> u32 {
        self.first_location + u32::from(bin.min(LOCATION_BINS - 1))
    }
}
