//! What the kernels' types refuse before anything is launched.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use belvedere_kernels::device::{Argument, DeviceSlice};
use belvedere_kernels::launch::{
    BestToken, BestTokens, CacheAppend, CacheElement, CachePair, CacheReorder, ChosenToken, DecodeState,
    NextToken, Parents, PastMask, Preprocess, ResizeTables, RowLimits, RowMode,
};
use belvedere_kernels::{KernelError, PreprocessSpec};

const ROWS: usize = 4;
const HISTORY: usize = 33;

/// Memory that nobody touches.
fn memory(bytes: usize) -> DeviceSlice {
    DeviceSlice::new(1 << 40, bytes)
}

fn state() -> DecodeState {
    DecodeState::inside(memory(DecodeState::bytes(ROWS, HISTORY)), ROWS, HISTORY).unwrap()
}

fn next_token() -> NextToken {
    NextToken {
        logits: memory(ROWS * 3000 * 4),
        columns: 3000,
        vocabulary: 2900,
        no_repeat_ngram: 3,
        eos: 2,
        scratch: memory(NextToken::scratch_bytes(ROWS, 2900)),
        ring: memory(8 * ROWS * ChosenToken::BYTES),
        ring_steps: 8,
    }
}

fn best_tokens() -> BestTokens {
    BestTokens {
        logits: memory(ROWS * 3000 * 4),
        columns: 3000,
        vocabulary: 2900,
        no_repeat_ngram: 3,
        eos: 2,
        count: 6,
        scratch: memory(BestTokens::scratch_bytes(ROWS, 2900, 6)),
        best: memory(ROWS * 6 * BestToken::BYTES),
    }
}

/// Which argument of which kernel is refused.
fn refused<T: std::fmt::Debug>(result: Result<T, KernelError>) -> (&'static str, &'static str) {
    match result.unwrap_err() {
        KernelError::Slice { kernel, argument, .. } | KernelError::Count { kernel, argument, .. } => {
            (kernel, argument)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_state_has_all_of_its_entries_apart_and_aligned() {
    let bytes = DecodeState::bytes(ROWS, HISTORY);
    let state = state();
    let entries =
        [state.token, state.position, state.history, state.forced, state.limits, state.done, state.step];
    let whole = memory(bytes);
    for (i, entry) in entries.iter().enumerate() {
        assert_eq!(entry.address() % 256, 0);
        assert!(entry.address() + entry.bytes() as u64 <= whole.address() + bytes as u64);
        for other in &entries[i + 1..] {
            assert!(entry.address() + entry.bytes() as u64 <= other.address());
        }
    }
    assert!(DecodeState::inside(memory(bytes / 2), ROWS, HISTORY).is_err());
}

#[test]
fn choosing_a_token_takes_a_block_for_each_1024_tokens_of_each_row() {
    let [scan, choose] = next_token().launches(&state()).unwrap();
    assert_eq!((scan.grid, choose.grid), ([3, ROWS as u32, 1], [1, 1, 1]));
    let [scan, choose] = best_tokens().launches(&state()).unwrap();
    assert_eq!((scan.grid, choose.grid), ([3, ROWS as u32, 1], [ROWS as u32, 1, 1]));
}

#[test]
fn memory_that_is_too_small_is_named() {
    let shorter = |slice: DeviceSlice| DeviceSlice::new(slice.address(), slice.bytes() - 1);
    let good = next_token();
    let launches = |choose: NextToken| refused(choose.launches(&state()));
    assert_eq!(launches(NextToken { logits: shorter(good.logits), ..good }), ("next_token_scan", "logits"));
    assert_eq!(
        launches(NextToken { scratch: shorter(good.scratch), ..good }),
        ("next_token_scan", "scratch")
    );
    assert_eq!(launches(NextToken { ring: shorter(good.ring), ..good }), ("next_token_choose", "ring"));
    let short = DecodeState { history: shorter(state().history), ..state() };
    assert_eq!(refused(good.launches(&short)), ("next_token_scan", "history"));
    let misplaced = DecodeState { position: DeviceSlice::new(4, 8 * ROWS), ..state() };
    assert_eq!(refused(good.launches(&misplaced)), ("next_token_scan", "position"));

    let best = BestTokens { best: shorter(best_tokens().best), ..best_tokens() };
    assert_eq!(refused(best.launches(&state())), ("best_tokens_choose", "best"));
}

#[test]
fn numbers_that_a_kernel_cannot_take_are_named() {
    let launches = |choose: NextToken| choose.launches(&state());
    assert_eq!(
        launches(NextToken { ring_steps: 6, ..next_token() }).unwrap_err(),
        KernelError::RingSteps { got: 6 }
    );
    let beyond = NextToken { vocabulary: 3001, ..next_token() };
    assert_eq!(refused(launches(beyond)), ("next_token_scan", "vocabulary"));
    let no_repeat_ngram = usize::MAX;
    let endless = NextToken { no_repeat_ngram, ..next_token() };
    assert_eq!(refused(launches(endless)), ("next_token_scan", "no_repeat_ngram + 1"));
    let endless = BestTokens { no_repeat_ngram, ..best_tokens() };
    assert_eq!(refused(endless.launches(&state())), ("best_tokens_scan", "no_repeat_ngram + 1"));
    let many = BestTokens { count: 33, ..best_tokens() };
    assert_eq!(refused(many.launches(&state())), ("best_tokens_scan", "count"));
    let large = BestTokens { count: 32, columns: 1 << 20, vocabulary: 70_000, ..best_tokens() };
    assert_eq!(refused(large.launches(&state())), ("best_tokens_scan", "blocks of 1024 tokens"));
}

#[test]
fn caches_must_hold_their_rows_and_beams_make_whole_groups() {
    let shape = [ROWS, 12, 64, 64];
    let (new, cache) = (memory(ROWS * 12 * 64 * 2), memory(ROWS * 12 * 64 * 64 * 2));
    let element = CacheElement::F16;
    assert_eq!(CacheAppend::table(element, &[CachePair { new, cache }; 3], shape).unwrap().len(), 48);
    let swapped = CachePair { new: cache, cache: new };
    assert_eq!(refused(CacheAppend::table(element, &[swapped], shape)), ("cache_append", "cache"));
    let askew = DeviceSlice::new(cache.address() + 2, cache.bytes());
    assert_eq!(refused(CacheReorder::table(element, &[askew], shape)), ("cache_reorder", "cache"));

    let mask = PastMask { memory: memory(ROWS * 64 * 2), capacity: 64 };
    let append = CacheAppend { element, table: memory(48), pairs: 3, heads: 12, head_size: 64, mask };
    assert_eq!(append.launch(&state()).unwrap().grid, [3, ROWS as u32, 1]);
    let table = memory(47);
    assert_eq!(refused(CacheAppend { table, ..append }.launch(&state())), ("cache_append_f16", "table"));
    assert_eq!(mask.reset(element, state().position, ROWS, -3e4).unwrap().kernel, "past_mask_f16");

    let parents = Parents { memory: memory(4 * ROWS), group: 3 };
    let reorder = CacheReorder { table, caches: 1, element, heads: 12, capacity: 64, head_size: 64, parents };
    let error = KernelError::Groups { kernel: "cache_reorder", rows: ROWS, group: 3 };
    assert_eq!(reorder.launch(&state()).unwrap_err(), error);
}

#[test]
fn entries_are_read_as_the_kernels_write_them() {
    let entry = |words: [u32; 4]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        ChosenToken::from_bytes(bytes.try_into().unwrap())
    };
    let token = entry([7, (-1.5_f32).to_bits(), 1, 9]);
    let expected = ChosenToken { token: Some(7), log_prob: -1.5, done: true, not_finite: false, position: 9 };
    assert_eq!(token, expected);
    let none = entry([u32::MAX, 0, 3, 4]);
    assert_eq!((none.token, none.done, none.not_finite), (None, true, true));
    let limits = RowLimits { max_length: 20, least_length: 3, mode: RowMode::Score, forced_eos: None };
    assert_eq!(limits.entry(), [20, 3, 1, -1]);
}

#[test]
fn preprocessing_launches_the_passes_that_its_frames_need() {
    let tables = ResizeTables::new((1920, 1080), (768, 768));
    assert_eq!(tables.between_bytes((768, 768)), 3 * 270 * 768 * 4);
    let nothing = Preprocess {
        target: (768, 768),
        levels: memory(3 * 256 * 4),
        frames: &[],
        table: memory(0),
        element: CacheElement::F16,
        pixel_values: memory(0),
    };
    assert_eq!(refused(nothing.launches()), ("preprocess", "frames"));
    assert!(Preprocess::levels(&PreprocessSpec::imagenet(0, 8)).is_err());
    assert_eq!(Preprocess::levels(&PreprocessSpec::imagenet(8, 8)).unwrap().len(), 3 * 256 * 4);
}

#[test]
fn a_launch_knows_its_memory() {
    let launch = PastMask { memory: memory(512), capacity: 64 }
        .reset(CacheElement::F16, state().position, ROWS, -3e4)
        .unwrap();
    assert_eq!(launch.memory().count(), 2);
    assert_eq!(launch.arguments[3], Argument::F32(-3e4));
}
