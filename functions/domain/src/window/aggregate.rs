//! All metrics of a window.

use super::FoldRules;
use super::metric::seen::SeenFrames;
use super::metric::{
    Authors, Context, Damage, Frames, Hashtags, Hosts, Kinds, Lag, Languages, LastLate, Lateness, MatchedBy, Media,
    Mentions, Metric, Newest, PerMinute, Primary,
};
use crate::frame::{Frame, Ledger, SlimPost};
use crate::time::WindowStart;
use crate::uniques::Estimate;
use crate::wire::{self, DecodeError, Reader};

/// Makes the aggregate of a list of metrics, each with its tag in what is stored. Tags are never reused, and the list is
/// in their order.
macro_rules! aggregate_of {
    ($($(#[$doc:meta])+ $tag:literal $visibility:vis $name:ident: $Metric:ty,)+) => {
        /// Everything counted of one lane in one window. A pure function of the frames folded, in lane
        /// order.
        #[derive(Clone, Debug, Default)]
        pub struct Aggregate {
            $($(#[$doc])+ $visibility $name: $Metric,)+
            /// Fields of a newer release, with their tags.
            unknown: Vec<(u64, Box<[u8]>)>,
        }

        const TAGS: &[u64] = &[$($tag),+];

        impl Aggregate {
            fn count_frame(&mut self, frame: &Frame, context: &Context) {
                $(self.$name.frame(frame, context);)+
            }

            #[inline]
            fn count_post(&mut self, post: &SlimPost, context: &Context) {
                $(self.$name.post(post, context);)+
            }

            fn merge_all(&mut self, other: &Self, same_window: bool) {
                $(Metric::merge(&mut self.$name, &other.$name, same_window);)+
            }

            /// Reduces what only a merge of many windows has, to store it.
            pub(crate) fn shrink(&mut self) {
                $(Metric::shrink(&mut self.$name);)+
            }

            /// Appends the fields that are not empty, in the order of their tags: tag, length, bytes.
            pub(crate) fn encode(&self, out: &mut Vec<u8>) {
                let mut bytes = vec![];
                $(if !Metric::is_empty(&self.$name) {
                    bytes.clear();
                    Metric::encode(&self.$name, &mut bytes);
                    wire::put_u64(out, $tag);
                    wire::put_bytes(out, &bytes);
                })+
                for (tag, bytes) in &self.unknown {
                    wire::put_u64(out, *tag);
                    wire::put_bytes(out, bytes);
                }
            }

            fn decode_field(&mut self, tag: u64, field: &mut Reader<'_>) -> Result<(), DecodeError> {
                match tag {
                    $($tag => {
                        self.$name = <$Metric as Metric>::decode(field)?;
                        if Metric::is_empty(&self.$name) {
                            return Err(field.error("a field that is not empty"));
                        }
                    })+
                    _ => self.unknown.push((tag, field.take_rest().into())),
                }
                Ok(())
            }
        }
    };
}

aggregate_of! {
    /// Posts by kind.
    1 pub kinds: Kinds,
    /// Posts in each minute of the window.
    2 pub per_minute: PerMinute,
    /// Posts by language.
    3 pub languages: Languages,
    /// Distinct authors.
    4 pub authors: Authors,
    /// Hashtags.
    5 pub hashtags: Hashtags,
    /// Mentions of accounts.
    6 pub mentions: Mentions,
    /// Hosts of links.
    7 pub hosts: Hosts,
    /// Posts by how the region was decided.
    8 pub matched_by: MatchedBy,
    /// Lags between a post and the cut of its frame; live sources only.
    9 pub lag: Lag,
    /// Posts that came when the window was final already.
    10 pub lateness: Lateness,
    /// Posts of which no earlier region has a copy.
    11 pub primary: Primary,
    /// Frames that touched this window.
    12 pub frames: Frames,
    /// The newest post.
    13 pub newest: Newest,
    /// What became of the lines of the source; lanes of ledgers only.
    14 pub ledger: Ledger,
    /// What cannot be read.
    15 pub damage: Damage,
    /// Frames folded, so that one that is in the log twice counts once.
    16 seen: SeenFrames,
    /// Posts with media.
    17 pub media: Media,
    /// When late posts came last.
    18 pub last_late: LastLate,
}

const _: () = {
    let mut at = 1;
    while at < TAGS.len() {
        assert!(TAGS[at - 1] < TAGS[at], "the list is in the order of the tags");
        at += 1;
    }
};

impl Aggregate {
    /// An empty window in the place of a stored one that cannot be read.
    #[must_use]
    pub fn restarted() -> Self {
        Self { damage: Damage { resets: 1, ..Damage::default() }, ..Self::default() }
    }

    /// Posts of any kind.
    #[must_use]
    pub fn posts(&self) -> u64 {
        self.kinds.posts()
    }

    /// The counts that need little room: without authors, hashtags, hosts and languages.
    #[must_use]
    pub fn lean(&self) -> Self {
        Self {
            kinds: self.kinds,
            lag: self.lag,
            lateness: self.lateness,
            last_late: self.last_late,
            primary: self.primary,
            frames: self.frames,
            newest: self.newest,
            ledger: self.ledger,
            damage: self.damage,
            ..Self::default()
        }
    }

    /// The byte form of [`Aggregate::lean`].
    #[must_use]
    pub fn encode_lean(&self) -> Vec<u8> {
        let mut out = vec![];
        self.lean().encode(&mut out);
        out
    }

    /// Reads what [`Aggregate::encode_lean`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn decode_lean(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(&mut Reader::new(bytes))
    }

    /// Whether posts are missing since records or the stored window were damaged.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        !Metric::is_empty(&self.damage)
    }

    /// Whether it has the first frame of a run of a streamer.
    #[must_use]
    pub fn has_run_start(&self) -> bool {
        self.seen.has_first()
    }

    /// Whether a frame was counted here that `other` did not count. Both must be of the same lane and window.
    #[must_use]
    pub fn has_frame_beyond(&self, other: &Self) -> bool {
        self.seen.has_beyond(&other.seen)
    }

    /// How many people wrote the posts ([`Authors::distinct`]).
    #[must_use]
    pub fn distinct_authors(&self) -> Estimate {
        self.authors.distinct(self.posts())
    }

    /// Whether a newer release counted something in this window that this one does not know. The known part can be
    /// read; nothing must be folded onto it, or the unknown part would lack those posts.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// Folds the posts and ledgers of `frame` that belong to `window`, and, when the frame was cut in it, its
    /// heartbeat. A frame whose run and number were folded before changes
    /// nothing.
    pub fn fold(&mut self, rules: FoldRules, window: WindowStart, frame: &Frame) {
        let header = &frame.header;
        // A record without a header may or may not be a repetition.
        if !header.run.is_empty() && !self.seen.count(&header.run, header.counter) {
            return;
        }
        let context = Context::new(rules, window, header);
        self.count_frame(frame, &context);
        for post in frame.posts.iter().filter(|post| rules.size.start_of(post.time_ms) == window) {
            self.count_post(post, &context);
        }
    }

    /// Adds the aggregate of another lane, or of the next window when windows are merged into
    /// longer steps: then its minutes follow ours.
    pub fn merge(&mut self, other: &Self, same_window: bool) {
        self.merge_all(other, same_window);
    }

    /// Reads what [`Aggregate::encode`] wrote, to the end. A field of an unknown tag is kept as it is.
    ///
    /// # Errors
    /// When the bytes are damaged, or not the one form of an aggregate.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (mut aggregate, mut last) = (Self::default(), 0);
        while !reader.rest().is_empty() {
            let tag = reader.u64()?;
            if tag <= last {
                return Err(reader.error("fields in the order of their tags"));
            }
            last = tag;
            let mut field = reader.part()?;
            aggregate.decode_field(tag, &mut field)?;
            field.finish()?;
        }
        Ok(aggregate)
    }
}
