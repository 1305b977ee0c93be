//! What fast precision changes, measured against exact: `accuracy DIR [picture.png ...]`.
//!
//! Loads the checkpoint in `DIR` in exact, then in fast precision, one after the other, and asks both the fifteen
//! prompts of `testdata/text_prompts.json` about each picture (8-bit RGB PNG; those of `testdata/pictures` unless
//! some are named). Compared are the image features, the logits while both follow exact's answers (so that a difference
//! is not carried on), and the answers each chooses greedily by itself.
//!
//! On random weights the tokens say little, in both directions. Most are no choice at all: the model repeats its last
//! token, far ahead of any other, until the ban on 3-grams stops it, so first choices are also counted without those.
//! Where it does choose, it is among tokens that are nearly equal, nothing pulls a sequence back once it differs, and
//! one early difference costs the rest. Features and logits are comparable; how often a trained checkpoint's answers
//! change has to be measured on that checkpoint.

use std::error::Error;
use std::path::{Path, PathBuf};

use belvedere_kernels::{ImageView, Plane, PreprocessPlan};
use belvedere_models::engine::{BatchLimits, Engine, NextRow, Pixels};
use belvedere_models::{CancelToken, Checkpoint, Florence, GenerationOptions, LoadOptions, Precision};
use belvedere_models::{ImageFeatures, ModelError};

type Failure = Box<dyn Error>;

/// Tokens compared of every answer, behind the start token and the forced first one.
const FREE_TOKENS: usize = 20;

/// What one precision makes of one picture.
struct Observed {
    features: Vec<f32>,
    /// The answer to each prompt.
    answers: Vec<Vec<u32>>,
    /// One for each token of the answers that were followed, in an order that depends on those only.
    positions: Vec<Position>,
}

/// Where a token of an answer is chosen, all before it being given.
struct Position {
    logits: Vec<f32>,
    /// Tokens that the ban on repeated n-grams takes out.
    banned: Vec<u32>,
    /// The token before.
    last: Option<u32>,
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: accuracy DIR [picture.png ...]")?;
    let mut pictures: Vec<PathBuf> = args.map(PathBuf::from).collect();
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    if pictures.is_empty() {
        pictures = ["street", "tower", "banner"]
            .map(|name| testdata.join("pictures").join(name).with_extension("png"))
            .to_vec();
    }
    let prompts = prompts(&testdata.join("text_prompts.json"))?;
    let checkpoint = Checkpoint::open(&dir)?;
    println!("cpu    {}", processor_name());
    let exact = observe(&checkpoint, Precision::Exact, &pictures, &prompts, None)?;
    let fast = observe(&checkpoint, Precision::Fast, &pictures, &prompts, Some(&exact))?;

    for ((picture, exact), fast) in pictures.iter().zip(&exact).zip(&fast) {
        let (error, cosine) = relative_error_and_cosine(&exact.features, &fast.features);
        println!("{}: image features: relative L2 error {error:.5}, cosine {cosine:.6}", picture.display());
    }
    print_logits(&exact, &fast);
    print_answers(&exact, &fast);
    Ok(())
}

/// Loads the model in one precision and lets it see all pictures; `leader` says whose answers to follow, its own
/// otherwise.
fn observe(
    checkpoint: &Checkpoint,
    precision: Precision,
    pictures: &[PathBuf],
    prompts: &[Vec<u32>],
    leader: Option<&[Observed]>,
) -> Result<Vec<Observed>, Failure> {
    let spec = checkpoint.preprocess_spec();
    let options = LoadOptions { width: spec.width, height: spec.height, precision, ..LoadOptions::default() };
    let mut model = Florence::load(checkpoint, &options)?;
    println!("{:6} {}", format!("{precision:?}").to_lowercase(), model.device_description());
    let mut plan = PreprocessPlan::new(spec.clone())?;
    let cancel = CancelToken::new();
    let mut all = Vec::new();
    for (number, picture) in pictures.iter().enumerate() {
        let data = pixels(&mut plan, picture)?;
        let pixels = Pixels { width: spec.width as usize, height: spec.height as usize, data: &data };
        let (features, _) = model.encode_image(pixels, &cancel)?;
        // The forced last token comes after those that are compared.
        let options =
            GenerationOptions { beams: 1, max_new_tokens: FREE_TOKENS + 2, ..GenerationOptions::default() };
        let generations = model.generate(&features, prompts, &options, &cancel)?;
        let answers: Vec<Vec<u32>> = generations.into_iter().map(|generation| generation.token_ids).collect();
        let followed = leader.and_then(|all| all.get(number)).map_or(&answers, |leader| &leader.answers);
        let ngram = checkpoint.config().generation.no_repeat_ngram;
        let positions = follow(model.engine(), &features, prompts, followed, ngram)?;
        let values = features.storage::<Vec<f32>>().ok_or("the engine keeps its features to itself")?;
        all.push(Observed { features: values.clone(), answers, positions });
    }
    Ok(all)
}

/// Every position of a free token of `answers`.
fn follow(
    engine: &mut dyn Engine,
    features: &ImageFeatures,
    prompts: &[Vec<u32>],
    answers: &[Vec<u32>],
    ngram: usize,
) -> Result<Vec<Position>, ModelError> {
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let limits = BatchLimits { beams: 1, max_length: FREE_TOKENS + 3 };
    let mut batch = engine.start(features, &prompts, limits, &CancelToken::new())?;
    let forced = answers.first().and_then(|answer| answer.get(..2)).unwrap_or_default();
    let mut rows: Vec<usize> = (0..answers.len()).collect();
    let position = |(answer, logits): (&usize, &mut [f32]), length| {
        let history = answers.get(*answer).and_then(|answer| answer.get(..length)).unwrap_or_default();
        Position { logits: logits.to_vec(), banned: repeated(history, ngram), last: history.last().copied() }
    };
    let prefilled = batch.prefill(forced)?.into_rows();
    let mut positions: Vec<Position> = rows.iter().zip(prefilled).map(|row| position(row, 2)).collect();
    for chosen in 2..=FREE_TOKENS {
        // Which answers go on, and where their rows are in the call before.
        let goes_on = |answer: &usize| answers.get(*answer).is_some_and(|answer| answer.len() > chosen + 1);
        let next: Vec<NextRow> = rows
            .iter()
            .enumerate()
            .filter(|(_, answer)| goes_on(answer))
            .filter_map(|(parent, answer)| {
                answers.get(*answer)?.get(chosen).map(|token| NextRow { parent, token: *token })
            })
            .collect();
        rows.retain(goes_on);
        if next.is_empty() {
            break;
        }
        let logits = batch.step(&next)?.into_rows();
        positions.extend(rows.iter().zip(logits).map(|row| position(row, chosen + 1)));
    }
    Ok(positions)
}

/// Tokens that would repeat an n-gram of `history` (spec 4.6).
fn repeated(history: &[u32], n: usize) -> Vec<u32> {
    let tail = n.checked_sub(1).and_then(|keep| history.len().checked_sub(keep)).map(|from| &history[from..]);
    let grams =
        tail.into_iter().flat_map(|tail| history.windows(n).filter(move |gram| gram.starts_with(tail)));
    grams.filter_map(|gram| gram.last().copied()).collect()
}

fn print_logits(exact: &[Observed], fast: &[Observed]) {
    let (mut errors, mut margins) = (Vec::new(), Vec::new());
    // All positions and those at which another token than the last is chosen: how many, and how many the same.
    let (mut all, mut changes) = ((0, 0), (0, 0));
    for (exact, fast) in exact.iter().zip(fast).flat_map(|(a, b)| a.positions.iter().zip(&b.positions)) {
        // A shift of all logits changes no probability; the spread is what a difference has to be seen against.
        let spread = standard_deviation(exact.logits.iter().map(|x| f64::from(*x)));
        let apart = exact.logits.iter().zip(&fast.logits).map(|(a, b)| f64::from(b - a));
        errors.push(standard_deviation(apart) / spread);
        let (first, margin) = exact.best();
        let same = usize::from(first == fast.best().0);
        all = (all.0 + 1, all.1 + same);
        if exact.last.is_none_or(|last| first != last as usize) {
            changes = (changes.0 + 1, changes.1 + same);
            margins.push(margin / spread);
        }
    }
    let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
    println!(
        "logits, following exact's answers: rms error {mean:.4} of their spread (95 % under {:.4})",
        quantile(&mut errors, 0.95)
    );
    println!(
        "first choice: the same for {} of {} tokens; {} of {} that do not repeat the one before, where exact's margin \
         has median {:.4} and first decile {:.4} of the spread",
        all.1,
        all.0,
        changes.1,
        changes.0,
        quantile(&mut margins, 0.5),
        quantile(&mut margins, 0.1),
    );
}

fn standard_deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    (values.map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt()
}

fn print_answers(exact: &[Observed], fast: &[Observed]) {
    let pairs: Vec<(&[u32], &[u32])> = exact
        .iter()
        .zip(fast)
        .flat_map(|(a, b)| a.answers.iter().zip(&b.answers))
        .map(|(a, b)| (free(a), free(b)))
        .collect();
    let count = pairs.len().max(1) as f64;
    let mean = |of: fn(&(&[u32], &[u32])) -> usize| pairs.iter().map(of).sum::<usize>() as f64 / count;
    println!(
        "answers: {} of {} equal in their first {FREE_TOKENS} tokens; {:.1} of {:.1} tokens in common from the start",
        pairs.iter().filter(|(a, b)| a == b).count(),
        pairs.len(),
        mean(|(a, b)| a.iter().zip(*b).take_while(|(a, b)| a == b).count()),
        mean(|(a, _)| a.len()),
    );
}

/// The tokens that were chosen, not forced.
fn free(answer: &[u32]) -> &[u32] {
    answer.get(2..answer.len().min(FREE_TOKENS + 2)).unwrap_or_default()
}

impl Position {
    /// The token to choose and its distance to the next best.
    fn best(&self) -> (usize, f64) {
        let (mut first, mut second) = ((0, f32::NEG_INFINITY), f32::NEG_INFINITY);
        for (index, value) in self.logits.iter().enumerate() {
            if self.banned.iter().any(|token| *token as usize == index) {
                continue;
            }
            if *value > first.1 {
                (first, second) = ((index, *value), first.1);
            } else if *value > second {
                second = *value;
            }
        }
        (first.0, f64::from(first.1 - second))
    }
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}

fn relative_error_and_cosine(exact: &[f32], fast: &[f32]) -> (f64, f64) {
    let sum = |of: fn(f64, f64) -> f64| -> f64 {
        exact.iter().zip(fast).map(|(a, b)| of(f64::from(*a), f64::from(*b))).sum()
    };
    let (own, other) = (sum(|a, _| a * a), sum(|_, b| b * b));
    ((sum(|a, b| (a - b).powi(2)) / own).sqrt(), sum(|a, b| a * b) / (own * other).sqrt())
}

fn prompts(path: &Path) -> Result<Vec<Vec<u32>>, Failure> {
    let file: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let prompts = file["prompts"].as_object().ok_or("no prompts")?;
    Ok(prompts
        .values()
        .map(|prompt| serde_json::from_value(prompt["ids"].clone()))
        .collect::<Result<_, _>>()?)
}

fn pixels(plan: &mut PreprocessPlan, picture: &Path) -> Result<Vec<f32>, Failure> {
    let file = std::fs::File::open(picture).map_err(|error| format!("{}: {error}", picture.display()))?;
    let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info()?;
    let mut bytes = vec![0; reader.output_buffer_size().ok_or("a picture too large")?];
    let info = reader.next_frame(&mut bytes)?;
    if info.color_type != png::ColorType::Rgb {
        return Err(format!("{} is not RGB", picture.display()).into());
    }
    let view = ImageView::rgb8(info.width, info.height, Plane { bytes: &bytes, stride: info.line_size })?;
    Ok(plan.run(&view)?.data)
}

fn processor_name() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}
