//! Any bytes may come on a connection to the page: what is answered is HTTP, fits the schema, and shows nothing that
//! is behind the token to whoever has not got it.
//!
//! Input: [`Circumstances`] (one byte), how many bytes come at once (one byte; 0 for all), and the bytes.
#![no_main]

mod answers;
mod checks;
mod scene;

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};

use belvedere::http::fuzzed::Door;
use belvedere::live::{PageQuestion, Phase};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::yield_now;

use answers::End;
use scene::Scene;

/// Where nothing came for so many turns of everybody, nothing comes without a frame or the clock.
const PATIENCE: u32 = 24;
/// Whoever has so much is satisfied, in bytes.
const ENOUGH_BYTES: usize = 256 << 10;
/// So many pieces come one by one; what is left comes at once.
const MAX_PIECES: usize = 64;
/// What the peer has not taken yet, in bytes.
const PIPE_BYTES: usize = 16 << 10;
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// What is so besides the bytes.
#[derive(Debug, Clone, Copy)]
struct Circumstances(u8);

impl Circumstances {
    fn has_token(self) -> bool {
        self.0 & 1 != 0
    }

    /// The peer says that it has no more to say.
    fn closes(self) -> bool {
        self.0 & 2 != 0
    }

    fn phase(self) -> Phase {
        match self.0 >> 2 & 3 {
            0 | 1 => Phase::Running,
            2 => Phase::Starting { detail: "building an engine".to_owned() },
            _ => Phase::Stopping,
        }
    }

    /// What a question is answered with; nothing comes of the last kind.
    fn reply(self) -> Option<&'static str> {
        match self.0 >> 4 & 3 {
            0 => Some(scene::ANSWER),
            1 => Some(scene::REFUSAL),
            2 => Some("no JSON"),
            _ => None,
        }
    }

    /// The daemon ends when everything has been said.
    fn stops(self) -> bool {
        self.0 & 64 != 0
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&[circumstances, piece], said)) = data.split_first_chunk::<2>() else {
        return;
    };
    let circumstances = Circumstances(circumstances);
    let mut scene = Scene::set();
    scene.live.set_phase(circumstances.phase());
    scene.live.turned();
    // Its clock goes on when nobody has anything to do: waiting costs nothing.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (heard, end) = runtime.block_on(converse(circumstances, piece.into(), said, &mut scene));
    let answers = answers::read(&heard, end, PIPE_BYTES);
    checks::check(&answers, said, circumstances.has_token());
});

/// Says it all and listens; what was heard, and how it ended.
async fn converse(
    circumstances: Circumstances,
    piece: usize,
    said: &[u8],
    scene: &mut Scene,
) -> (Vec<u8>, End) {
    // Of its own for each: wrong tokens are counted.
    let settings = scene.settings(circumstances.has_token());
    let door = Door::new(&settings, scene.live.clone()).expect("random numbers");
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let serving = tokio::spawn(door.serve(theirs, PEER));
    let (mut hearing, mut saying) = tokio::io::split(ours);
    let idle_turns = Cell::new(0);
    let speak = async {
        let pieces = if piece == 0 { said.len() } else { piece };
        let (slowly, rest) = said.split_at(pieces.saturating_mul(MAX_PIECES).min(said.len()));
        for bytes in slowly.chunks(pieces.max(1)).chain([rest]) {
            if saying.write_all(bytes).await.is_err() {
                return;
            }
            idle_turns.set(0);
            // The server has its turn before the next piece comes.
            yield_now().await;
        }
        if circumstances.closes() {
            let _ = saying.shutdown().await;
        }
        if circumstances.stops() {
            door.stop();
        }
    };
    let hear = async {
        let mut heard = Vec::new();
        while idle_turns.get() < PATIENCE && heard.len() < ENOUGH_BYTES {
            let read = tokio::select! {
                biased;
                read = hearing.read_buf(&mut heard) => read,
                () = yield_now() => {
                    idle_turns.set(idle_turns.get() + 1);
                    continue;
                }
            };
            idle_turns.set(0);
            match read {
                Ok(0) | Err(_) if circumstances.closes() || circumstances.stops() => {
                    return (heard, End::Early);
                }
                Ok(0) | Err(_) => return (heard, End::Theirs),
                Ok(_) => {}
            }
        }
        (heard, End::Ours)
    };
    let answer = answer_questions(&mut scene.questions, circumstances.reply());
    let talk = async {
        tokio::join!(speak, answer);
    };
    let heard = tokio::select! {
        heard = hear => heard,
        () = talk => unreachable!("the scene outlives its questions"),
    };
    // What still waits for a picture would do so for 20 s.
    serving.abort();
    heard
}

/// As the model thread would, for ever.
async fn answer_questions(questions: &mut mpsc::Receiver<PageQuestion>, reply: Option<&'static str>) {
    while let Some(question) = questions.recv().await {
        belvedere::watch::fuzzed::hear(&question.payload);
        if let Some(reply) = reply {
            // Whoever asked may be gone.
            let _ = question.reply.send(reply.into());
        }
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
