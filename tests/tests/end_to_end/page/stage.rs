//! A daemon that serves its page, and a browser that looks at it.

use std::{env, fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use belvedere_tests::{Browser, Daemon};
use serde_json::Value;

/// Far more than anything here takes on a loaded machine with two cores.
pub(super) const WITHIN: Duration = Duration::from_secs(90);
/// `scripts/page-tools.sh` puts it there.
const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.runtime/page-tools/axe.min.js");

/// The bundled model, the broker inside, and the page on any port; `more` is cameras.
pub(super) fn config(http: &str, more: &str) -> String {
    format!(
        "[mqtt]\nurl = \"embedded\"\nlisten = \"127.0.0.1:0\"\noutbox = false\n\n[http]\nlisten = \"127.0.0.1:0\"\n{http}\n{more}"
    )
}

/// The camera of the film, with timeouts short enough to wait for.
pub(super) fn camera(name: &str, url: &str) -> String {
    format!(
        "\n[[camera]]\nname = {name:?}\nurl = {url:?}\nfps = 4\ntransport = \"tcp\"\ntasks = [\"caption\", \"object-detection\"]\n\
         first_frame_timeout = \"10s\"\nframe_timeout = \"3s\"\nanswer_timeout = \"2s\"\noffline_after = \"4s\"\nlongest_backoff = \"1s\"\n"
    )
}

/// What is watched for, with an end that can be waited for.
pub(super) fn alerts(phrases: &[&str]) -> String {
    let alert = |phrase: &&str| {
        format!("\n[[camera.alert]]\nphrase = {phrase:?}\nclear_after = \"1s\"\ncooldown = \"3s\"\n")
    };
    phrases.iter().map(alert).collect()
}

/// The page of a daemon, open in a browser.
pub(super) struct Stage {
    pub(super) daemon: Daemon,
    pub(super) browser: Browser,
    pub(super) url: String,
}

impl Stage {
    pub(super) fn open(config: &str) -> Result<Stage> {
        Stage::open_with(config, |_| {})
    }

    /// The same with the daemon's command changed by `adjust`.
    pub(super) fn open_with(config: &str, adjust: impl FnOnce(&mut Command)) -> Result<Stage> {
        let daemon = Daemon::start_with(config, adjust)?;
        let url = daemon.page()?;
        let browser = Browser::start()?;
        browser.set_size(1440, 900, false)?;
        browser.set_colours("light")?;
        browser.open(&url)?;
        Ok(Stage { daemon, browser, url })
    }

    pub(super) fn wait(&self, what: &str, expression: &str) -> Result<()> {
        self.browser.wait_until(what, expression, WITHIN).inspect_err(|_| {
            eprintln!("the page's complaints: {:#?}", self.browser.complaints());
        })
    }

    /// Clicks in the middle of the element that a CSS selector finds, as a person with a mouse does.
    pub(super) fn click(&self, selector: &str) -> Result<()> {
        let place = self.place(selector, [0.5, 0.5])?;
        self.browser.drag(&[place])
    }

    /// A place in the element that a selector finds, by fractions of its width and height, in CSS pixels of the window.
    pub(super) fn place(&self, selector: &str, [x, y]: [f64; 2]) -> Result<[f64; 2]> {
        let found = self.browser.evaluate(&format!(
            "(() => {{ const element = document.querySelector({selector:?});
                element.scrollIntoView({{ block: 'nearest', behavior: 'instant' }});
                const area = element.getBoundingClientRect();
                return [area.left + area.width * {x}, area.top + area.height * {y}]; }})()"
        ))?;
        let number = |index: usize| found[index].as_f64().with_context(|| format!("{selector}: {found}"));
        Ok([number(0)?, number(1)?])
    }

    pub(super) fn text_of(&self, selector: &str) -> Result<String> {
        let text = self.browser.evaluate(&format!("document.querySelector({selector:?}).textContent"))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// axe-core's rules, in both colour schemes.
    pub(super) fn assert_accessible(&self, what: &str) -> Result<()> {
        let path = env::var_os("BELVEDERE_AXE").map_or_else(|| PathBuf::from(AXE), PathBuf::from);
        let axe = fs::read_to_string(&path)
            .with_context(|| format!("{}: `make page-tools` gets it", path.display()))?;
        if self.browser.evaluate("typeof axe")? != "object" {
            self.browser.evaluate(&format!("{axe}; 1"))?;
        }
        for scheme in ["light", "dark"] {
            self.browser.set_colours(scheme)?;
            let violations = self.browser.evaluate(
                "axe.run(document, { resultTypes: ['violations'] }).then(({ violations, passes }) => ({
                    passes: passes.length,
                    violations: violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html, failureSummary }) =>
                      `${html.slice(0, 200)}: ${failureSummary}`) })) }))",
            )?;
            ensure!(violations["passes"].as_u64().is_some_and(|passes| passes > 10), "{what}: {violations}");
            ensure!(violations["violations"] == Value::Array(Vec::new()), "{what}, {scheme}: {violations:#}");
        }
        self.browser.set_colours("light")
    }

    /// Nothing is wider than the window.
    pub(super) fn assert_fits(&self, what: &str) -> Result<()> {
        let widths = self.browser.evaluate(
            "[document.documentElement.scrollWidth, innerWidth,
              ...[...document.querySelectorAll('.card *')].filter((e) => !e.closest('.overlay, .handles, pre, .hidden'))
                .map((e) => e.getBoundingClientRect().right)]",
        )?;
        let widths: Vec<f64> = widths.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        let window = *widths.get(1).context("a width")?;
        ensure!(widths.iter().all(|right| *right <= window + 0.5), "{what}: {widths:?}");
        Ok(())
    }

    /// A picture for people, where `BELVEDERE_SCREENSHOTS` names a folder.
    pub(super) fn screenshot(&self, name: &str) -> Result<()> {
        let Some(folder) = env::var_os("BELVEDERE_SCREENSHOTS").map(PathBuf::from) else { return Ok(()) };
        fs::create_dir_all(&folder)?;
        self.browser.screenshot(&folder.join(format!("{name}.png")))
    }

    pub(super) fn assert_no_complaints(&self) {
        let complaints = self.browser.complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}
