//! What is on the screen: where one is in it, what is asked, and what of the [`Fleet`] is chosen.
//!
//! Keys and news move it; it never waits and draws nothing. What it wants done it says as a [`Wish`].

use factory_proto::v1;
use ratatui::layout::Rect;

use super::fleet::Fleet;
use super::list::{Tab, listed};
use super::pager::Pager;
use super::prompt::Prompt;

/// How long a word about what was done stands, in milliseconds.
const NOTICE_STANDS: i64 = 6_000;

#[derive(Debug)]
pub struct Model {
    pub fleet: Fleet,
    pub area: Rect,
    pub now_ms: i64,
    pub focus: Focus,
    pub tab: Tab,
    pub filter: String,
    /// By its number; `None`: the first, whichever that is.
    chosen_task: Option<u64>,
    /// By its id.
    chosen_worker: Option<String>,
    pub page: Option<Page>,
    pub prompt: Option<Prompt>,
    notice: Option<Notice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Focus {
    #[default]
    Tasks,
    Workers,
}

/// What is looked at in place of the lists.
#[derive(Debug)]
pub struct Page {
    pub subject: Subject,
    pub pager: Pager,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Of the task with this number.
    Log(u64),
    Details(u64),
    Messages,
    Help,
}

#[derive(Debug)]
struct Notice {
    text: String,
    bad: bool,
    until_ms: i64,
}

impl Model {
    pub fn new(url: &str, area: Rect, now_ms: i64) -> Self {
        Self {
            fleet: Fleet::new(url),
            area,
            now_ms,
            focus: Focus::default(),
            tab: Tab::default(),
            filter: String::new(),
            chosen_task: None,
            chosen_worker: None,
            page: None,
            prompt: None,
            notice: None,
        }
    }

    pub fn resize(&mut self, area: Rect) {
        self.area = area;
        if let Some(page) = &mut self.page {
            page.pager.set_width(area.width);
        }
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), bad: false, until_ms: self.now_ms + NOTICE_STANDS });
    }

    pub fn complain(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), bad: true, until_ms: self.now_ms + NOTICE_STANDS });
    }

    /// What was done or refused lately, and whether that is bad.
    pub fn notice(&self) -> Option<(&str, bool)> {
        let notice = self.notice.as_ref().filter(|notice| notice.until_ms > self.now_ms)?;
        Some((&notice.text, notice.bad))
    }

    pub fn listed(&self) -> Vec<&v1::Task> {
        listed(&self.fleet, self.tab, &self.filter)
    }

    /// Where the chosen task stands among `listed`.
    pub fn place_among(&self, listed: &[&v1::Task]) -> usize {
        let chosen = self.chosen_task;
        listed.iter().position(|task| Some(task.number) == chosen).unwrap_or_default()
    }

    pub fn task(&self) -> Option<&v1::Task> {
        let listed = self.listed();
        listed.get(self.place_among(&listed)).copied()
    }

    pub fn worker_place(&self) -> usize {
        let chosen = |worker: &v1::Worker| Some(&worker.id) == self.chosen_worker.as_ref();
        self.fleet.workers.iter().position(chosen).unwrap_or_default()
    }

    pub fn worker(&self) -> Option<&v1::Worker> {
        self.fleet.workers.get(self.worker_place())
    }

    /// Chooses what stands so many places further on.
    pub fn step(&mut self, by: isize) {
        match self.focus {
            Focus::Tasks => {
                let listed = self.listed();
                let place = moved(self.place_among(&listed), by, listed.len());
                self.chosen_task = listed.get(place).map(|task| task.number);
            }
            Focus::Workers => {
                let place = moved(self.worker_place(), by, self.fleet.workers.len());
                self.chosen_worker = self.fleet.workers.get(place).map(|worker| worker.id.clone());
            }
        }
    }

    /// The first of the list, whichever that is from now on.
    pub fn choose_first(&mut self) {
        match self.focus {
            Focus::Tasks => self.chosen_task = None,
            Focus::Workers => self.chosen_worker = None,
        }
    }

    pub fn open(&mut self, subject: Subject, pager: Pager) {
        self.page = Some(Page { subject, pager });
    }

    /// The page, where it is still the one of `subject`.
    pub fn page_of(&mut self, subject: Subject) -> Option<&mut Pager> {
        self.page.as_mut().filter(|page| page.subject == subject).map(|page| &mut page.pager)
    }
}

fn moved(place: usize, by: isize, len: usize) -> usize {
    place.saturating_add_signed(by).min(len.saturating_sub(1))
}
