//! Building on standard error.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::{BuildListener, Building, Pace, in_words};

const EVERY: Duration = Duration::from_secs(10);
/// To the beginning of the line, and empty it.
const AGAIN: &str = "\r\x1b[2K";

/// One line that is written again and again; or, where nobody could see that, lines at a pace.
#[derive(Debug)]
pub struct TerminalLine<W> {
    out: W,
    /// `None` on a terminal.
    pace: Option<Pace>,
}

impl TerminalLine<std::io::Stderr> {
    /// On standard error.
    pub fn stderr() -> TerminalLine<std::io::Stderr> {
        let out = std::io::stderr();
        let is_terminal = out.is_terminal();
        TerminalLine::new(out, is_terminal)
    }
}

impl<W: Write> TerminalLine<W> {
    fn new(out: W, is_terminal: bool) -> TerminalLine<W> {
        TerminalLine { out, pace: (!is_terminal).then(|| Pace::new(EVERY)) }
    }

    /// A terminal that has gone is no reason to stop.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

impl<W: Write + Send> BuildListener for TerminalLine<W> {
    fn tell(&mut self, building: &Building) {
        match &mut self.pace {
            None => self.write(&format!("{AGAIN}{}", building.line())),
            Some(pace) => {
                if pace.admits(building) {
                    self.write(&format!("{}\n", building.line()));
                }
            }
        }
    }

    fn ended(&mut self, elapsed: Duration) {
        let again = if self.pace.is_none() { AGAIN } else { "" };
        self.write(&format!("{again}engines: {}\n", in_words(elapsed)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::building;
    use super::*;

    fn written(is_terminal: bool) -> String {
        let mut line = TerminalLine::new(Vec::new(), is_terminal);
        for seconds in 0..3 {
            line.tell(&building(0, 0.1, seconds));
        }
        line.ended(Duration::from_secs(65));
        String::from_utf8(line.out).unwrap()
    }

    #[test]
    fn a_terminal_has_one_line_that_is_written_again() {
        let written = written(true);
        assert_eq!(written.matches(AGAIN).count(), 4, "{written:?}");
        assert_eq!(written.matches('\n').count(), 1, "{written:?}");
        assert!(written.ends_with("engines: 1 min 5 s\n"), "{written:?}");
    }

    #[test]
    fn anything_else_gets_whole_lines_and_few() {
        let written = written(false);
        assert!(!written.contains('\r') && !written.contains('\x1b'), "{written:?}");
        assert_eq!(written.lines().count(), 2, "{written:?}");
    }
}
