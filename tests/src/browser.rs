use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::EventLog;

/// How long a command of the browser's may take, on a loaded machine.
const COMMAND: Duration = Duration::from_secs(120);

/// A real Chromium without a window, driven through its DevTools protocol over a pipe: no port, no driver, no other
/// program's version to match.
///
/// It has a profile of its own in a temporary folder, and is killed when this is dropped.
pub struct Browser {
    process: Child,
    commands: Mutex<ChildStdin>,
    /// What it answered and what happened, in order.
    messages: EventLog<Value>,
    next: AtomicU64,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts it with an empty page.
    pub fn start() -> Result<Self> {
        let profile = TempDir::new()?;
        // The protocol is spoken on descriptors 3 and 4; the shell makes them of what Rust gives, and becomes the browser.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 >/dev/null </dev/null"])
            .arg(program()?)
            .args([
                "--remote-debugging-pipe",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "about:blank",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting Chromium")?;
        let messages = EventLog::default();
        let (stdin, stdout) = (process.stdin.take(), process.stdout.take());
        let log = messages.clone();
        thread::spawn(move || {
            for message in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).split(0)) {
                let Ok(Ok(message)) = message.map(|bytes| serde_json::from_slice(&bytes)) else { break };
                log.push(message);
            }
        });
        let mut browser = Self {
            process,
            commands: Mutex::new(stdin.context("no way to Chromium")?),
            messages,
            next: AtomicU64::new(1),
            session: String::new(),
            _profile: profile,
        };
        let targets = browser.command("Target.getTargets", json!({}))?;
        let page =
            targets["targetInfos"].as_array().into_iter().flatten().find(|target| target["type"] == "page");
        let id = &page.context("Chromium has no page")?["targetId"];
        let attached =
            browser.command("Target.attachToTarget", json!({ "targetId": id, "flatten": true }))?;
        browser.session = attached["sessionId"].as_str().context("no session")?.to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            browser.command(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Goes to `url`.
    pub fn open(&self, url: &str) -> Result<()> {
        let opened = self.command("Page.navigate", json!({ "url": url }))?;
        ensure!(opened.get("errorText").is_none(), "{url}: {opened}");
        Ok(())
    }

    /// The value of a JavaScript expression in the page; where it is a promise, what that resolves to.
    pub fn evaluate(&self, expression: &str) -> Result<Value> {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let evaluated = self.command("Runtime.evaluate", parameters)?;
        if let Some(exception) = evaluated.get("exceptionDetails") {
            bail!("{expression}: {exception}");
        }
        Ok(evaluated["result"]["value"].clone())
    }

    /// Waits until `expression` is true in the page, looked at whenever the page has had time to change.
    pub fn wait_until(&self, what: &str, expression: &str, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = format!(
                "new Promise(resolve => {{ const until = performance.now() + {};
                   const look = () => {{ let is = false; try {{ is = {expression}; }} catch {{}}
                     if (is || performance.now() > until) resolve(!!is); else setTimeout(look, 30); }};
                   look(); }})",
                left.as_millis()
            );
            match self.evaluate(&wait) {
                Ok(Value::Bool(true)) => return Ok(()),
                // A page that is left takes its promises with it; the next one is asked anew.
                Err(error) if left.is_zero() => return Err(error.context(format!("waiting for {what}"))),
                Err(_) if !left.is_zero() => {}
                _ => bail!("waited {within:?} in vain for {what}; the page says: {}", self.text()?),
            }
        }
    }

    /// Everything that is to be read in the page.
    pub fn text(&self) -> Result<String> {
        Ok(self.evaluate("document.body.innerText")?.as_str().unwrap_or_default().to_owned())
    }

    /// Makes the page so many CSS pixels wide and high; a phone has a touch screen and two pixels for each.
    pub fn set_size(&self, width: u32, height: u32, is_phone: bool) -> Result<()> {
        let scale = if is_phone { 2 } else { 1 };
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone });
        self.command("Emulation.setDeviceMetricsOverride", size)?;
        self.command("Emulation.setTouchEmulationEnabled", json!({ "enabled": is_phone }))?;
        Ok(())
    }

    /// Forgets every cookie, as a browser does with those whose time is over.
    pub fn forget_cookies(&self) -> Result<()> {
        self.command("Network.clearBrowserCookies", json!({}))?;
        Ok(())
    }

    /// What the system is said to prefer: `light` or `dark`.
    pub fn set_colours(&self, scheme: &str) -> Result<()> {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.command("Emulation.setEmulatedMedia", features)?;
        Ok(())
    }

    /// Moves the mouse along `places` with its button down, in CSS pixels from the upper left of the page's window; with
    /// one place, clicks there.
    pub fn drag(&self, places: &[[f64; 2]]) -> Result<()> {
        let event = |kind: &str, [x, y]: [f64; 2]| {
            let event =
                json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1 });
            self.command("Input.dispatchMouseEvent", event)
        };
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return Ok(()) };
        event("mousePressed", *first)?;
        for place in &places[1..] {
            event("mouseMoved", *place)?;
        }
        event("mouseReleased", *last)?;
        Ok(())
    }

    /// Taps with a finger.
    pub fn tap(&self, [x, y]: [f64; 2]) -> Result<()> {
        let touch = |kind: &str, points: Value| {
            self.command("Input.dispatchTouchEvent", json!({ "type": kind, "touchPoints": points }))
        };
        touch("touchStart", json!([{ "x": x, "y": y }]))?;
        touch("touchEnd", json!([]))?;
        Ok(())
    }

    /// Presses a key, by its name in the DOM.
    pub fn press(&self, key: &str) -> Result<()> {
        let text = match key {
            "Enter" => Some("\r"),
            " " => Some(" "),
            _ => None,
        };
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "Backspace" => 8,
            _ => 0,
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code });
            if let (Some(text), "keyDown") = (text, kind) {
                event["text"] = text.into();
            }
            self.command("Input.dispatchKeyEvent", event)?;
        }
        Ok(())
    }

    /// Types text where the focus is.
    pub fn type_text(&self, text: &str) -> Result<()> {
        self.command("Input.insertText", json!({ "text": text }))?;
        Ok(())
    }

    /// Writes a PNG of what is in the window.
    pub fn screenshot(&self, path: &Path) -> Result<()> {
        let taken = self.command("Page.captureScreenshot", json!({ "format": "png" }))?;
        let png = base64(taken["data"].as_str().context("no picture")?).context("no base64")?;
        fs::write(path, png).with_context(|| path.display().to_string())
    }

    /// Errors and warnings so far: of the page's code, of what it loads, of its security policy.
    pub fn complaints(&self) -> Vec<String> {
        let is_complaint = |message: &Value| match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => {
                matches!(message["params"]["type"].as_str(), Some("error" | "warning" | "assert"))
            }
            Some("Log.entryAdded") => {
                matches!(message["params"]["entry"]["level"].as_str(), Some("error" | "warning"))
            }
            _ => false,
        };
        self.messages.all().iter().filter(|message| is_complaint(message)).map(Value::to_string).collect()
    }

    fn command(&self, method: &str, parameters: Value) -> Result<Value> {
        let id = self.next.fetch_add(1, Relaxed);
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            command["sessionId"] = self.session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&command)?;
        bytes.push(0);
        self.commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(&bytes)
            .context("Chromium is gone")?;
        let answer = self.messages.wait_for(method, COMMAND, |messages| {
            messages.iter().rev().find(|message| message["id"] == id).cloned()
        })?;
        match answer.get("error") {
            Some(error) => bail!("{method}: {error}"),
            None => Ok(answer["result"].clone()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // An error here means that it is gone already. Its own processes end with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> Result<String> {
    if let Ok(named) = env::var("BELVEDERE_CHROMIUM") {
        return Ok(named);
    }
    let folders = env::var("PATH").unwrap_or_default();
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| folders.split(':').any(|folder| Path::new(folder).join(name).exists()));
    found
        .map(str::to_owned)
        .context("there is no Chromium; install the package chromium, or name one with BELVEDERE_CHROMIUM")
}

/// Decodes base64 with padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        bits = (bits << 6) | u32::from(digit(byte)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_read_as_its_rfc_has_it() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(base64(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(base64("+/+/").unwrap(), [0xfb, 0xff, 0xbf]);
        assert_eq!(base64("a b"), None);
    }
}
