//! A real browser, headless, driven by WebDriver.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::Url;

use super::daemon::{Daemon, Program};
use super::host::Host;
use super::{PATIENCE, skipped, soon};

/// No first-run pages, nothing fetched for itself. The sandbox needs namespaces that containers seldom give.
const ARGUMENTS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,900",
];
/// How often a page is looked at while something is awaited: WebDriver tells nothing by itself.
const LOOKED_AT_EVERY: std::time::Duration = std::time::Duration::from_millis(40);
/// Pixels of a page that a picture shows.
const TALLEST: u64 = 4000;

pub struct Browser {
    pub client: Client,
    /// Ends the browser with itself.
    _driver: Daemon,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Light,
    Dark,
}

/// A command of Chrome's own.
#[derive(Debug)]
struct ChromeCommand {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for ChromeCommand {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// Without one the caller skips, and says so; under CI that is a failure.
    ///
    /// # Panics
    /// Under CI, when there is none; when it does not start.
    pub async fn start(host: &Host) -> Option<Self> {
        let Some((chromium, chromedriver)) = find("chromium").zip(find("chromedriver")) else {
            let missing = "no chromium and chromedriver on PATH: install them, or let .ci/run do so";
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
            skipped(missing);
            return None;
        };
        let program = Program {
            path: chromedriver,
            args: vec!["--port=0".into()],
            environment: host.environment(),
            log: host.path().join("chromedriver.log"),
        };
        let driver = Daemon::start_until(host, program, |line| port(line).is_some()).await;
        let driver = driver.expect("chromedriver starts");
        let url = format!("http://127.0.0.1:{}", port(driver.ready_line()).expect("a port"));
        let profile = tempfile::tempdir_in(host.path()).expect("a folder").keep();
        let mut arguments: Vec<String> = ARGUMENTS.iter().map(|argument| (*argument).to_owned()).collect();
        arguments.push(format!("--user-data-dir={}", profile.display()));
        let options = json!({ "binary": chromium, "args": arguments });
        let capabilities = Capabilities::from_iter([
            ("goog:chromeOptions".to_owned(), options),
            ("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" })),
        ]);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        let client = soon("a browser", builder.connect(&url)).await.expect("the browser starts");
        Some(Self { client, _driver: driver })
    }

    /// # Panics
    /// When the page cannot be loaded.
    pub async fn goto(&self, url: &str) {
        soon("a page", self.client.goto(url)).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Waits for an element.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn find(&self, css: &str) -> Element {
        let wait = self.client.wait().at_most(PATIENCE).every(LOOKED_AT_EVERY);
        match wait.for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => panic!("{css}: {error}; {}", self.describe().await),
        }
    }

    /// Clicks on an element once there is one.
    ///
    /// # Panics
    /// When it cannot be clicked on.
    pub async fn click(&self, css: &str) {
        let element = self.find(css).await;
        soon("a click", element.click()).await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Types into an element.
    ///
    /// # Panics
    /// When it takes no text.
    pub async fn write(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        soon("typing", element.send_keys(text)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Presses keys, wherever the focus is.
    ///
    /// # Panics
    /// When nothing takes them.
    pub async fn press(&self, keys: &str) {
        let focused =
            soon("the focus", self.client.active_element()).await.expect("an element has the focus");
        soon("keys", focused.send_keys(keys)).await.expect("it takes keys");
    }

    /// What a script's `return` gives.
    ///
    /// # Panics
    /// When the script fails.
    pub async fn eval(&self, script: &str) -> Value {
        let value = soon("a script", self.client.execute(script, Vec::new())).await;
        value.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The same for a script that calls its last argument when it is done.
    ///
    /// # Panics
    /// When the script fails.
    pub async fn eval_async(&self, script: &str) -> Value {
        let value = soon("a script", self.client.execute_async(script, Vec::new())).await;
        value.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until an expression holds, through navigations.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn until(&self, what: &str, expression: &str) {
        let script = format!("return Boolean({expression})");
        let holds = async {
            // While a page gives way to another, neither answers.
            while self.client.execute(&script, Vec::new()).await.ok() != Some(Value::Bool(true)) {
                tokio::time::sleep(LOOKED_AT_EVERY).await;
            }
        };
        if tokio::time::timeout(PATIENCE, holds).await.is_err() {
            panic!("waited in vain for {what} ({expression}); {}", self.describe().await);
        }
    }

    /// Waits until an element has these words in it.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn says(&self, css: &str, words: &str) {
        let (css, words) = (Value::from(css), Value::from(words));
        let expression =
            format!("[...document.querySelectorAll({css})].some((e) => e.textContent.includes({words}))");
        self.until("words", &expression).await;
    }

    /// Waits until the address is this path, with its query.
    ///
    /// # Panics
    /// When it is not in time.
    pub async fn is_at(&self, path: &str) {
        let path = Value::from(path);
        self.until("an address", &format!("location.pathname + location.search === {path}")).await;
    }

    /// What went wrong on the pages since this was last asked: errors, refusals of the policy, failed loads.
    ///
    /// # Panics
    /// When the browser does not tell.
    pub async fn complaints(&self) -> Vec<String> {
        let logged = self.command("se/log", json!({ "type": "browser" })).await.expect("the browser's log");
        let entries = logged.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")))
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// A command of the developer tools' protocol.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("goog/cdp/execute", body).await.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    async fn command(&self, path: &'static str, body: Value) -> Result<Value, CmdError> {
        soon("the browser", self.client.issue_cmd(ChromeCommand { path, body })).await
    }

    pub async fn prefer(&self, theme: Theme) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": theme.name() },
            // Else colours are looked at on their way.
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Sets the size of what is seen of a page.
    pub async fn resize(&self, width: u64, height: u64) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// The whole page as it is, in light and dark, wide and narrow, as `target/screenshots/NAME-….png`.
    ///
    /// # Panics
    /// When a picture cannot be taken or kept.
    pub async fn take_pictures(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
        fs::create_dir_all(&folder).expect("a folder");
        for (size, width) in [("wide", 1280), ("narrow", 390)] {
            self.resize(width, 900).await;
            let height = self.eval("return document.documentElement.scrollHeight").await;
            let height = height.as_u64().unwrap_or(900).clamp(900, TALLEST);
            let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
            for theme in [Theme::Light, Theme::Dark] {
                self.prefer(theme).await;
                let whole = json!({ "captureBeyondViewport": true, "clip": clip });
                let picture = self.devtools("Page.captureScreenshot", whole).await;
                let picture = picture["data"].as_str().map(|data| BASE64_STANDARD.decode(data));
                let file = folder.join(format!("{name}-{}-{size}.png", theme.name()));
                fs::write(file, picture.expect("a picture").expect("as base64")).expect("kept");
            }
        }
        self.resize(1280, 900).await;
    }

    /// Where it is and what it shows, for the message of a test that fails.
    async fn describe(&self) -> String {
        let script =
            "return `${location.href}\n${document.body ? document.body.innerText.slice(0, 1500) : ''}`";
        let page = self.client.execute(script, Vec::new()).await;
        format!(
            "the page is {}",
            page.ok().and_then(|page| page.as_str().map(str::to_owned)).unwrap_or_default()
        )
    }
}

impl Theme {
    fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// `ChromeDriver was started successfully on port 41234.`
fn port(line: &str) -> Option<&str> {
    line.rsplit_once("started successfully on port ").map(|(_, port)| port.trim_end_matches('.'))
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}
