//! What is asked of the person before something is done.

use factory_proto::v1;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::wish::Call;

#[derive(Debug)]
pub enum Prompt {
    /// Words that listed tasks must have.
    Filter(Input),
    Confirm(Confirm),
    Answer(Answering),
}

/// A question that one key answers.
#[derive(Debug)]
pub struct Confirm {
    pub question: String,
    /// By their keys; any other key leaves things as they are.
    pub choices: Vec<(char, &'static str, Call)>,
}

impl Confirm {
    pub fn new(question: String, yes: Call) -> Self {
        Self { question, choices: vec![('y', "yes", yes)] }
    }

    pub fn or(mut self, key: char, name: &'static str, call: Call) -> Self {
        self.choices.push((key, name, call));
        self
    }

    pub fn chosen(self, key: KeyEvent) -> Option<Call> {
        let KeyCode::Char(pressed) = key.code else { return None };
        let mut choices = self.choices.into_iter();
        choices.find(|(key, ..)| *key == pressed.to_ascii_lowercase()).map(|(.., call)| call)
    }
}

/// An answer being written.
#[derive(Debug)]
pub struct Answering {
    /// The task's open ones, oldest first; never empty.
    questions: Vec<v1::Question>,
    at: usize,
    pub input: Input,
    /// What was wrong with the last try.
    pub refused: String,
}

impl Answering {
    /// `None`: there is nothing to answer.
    pub fn new(questions: Vec<v1::Question>) -> Option<Self> {
        let any = !questions.is_empty();
        any.then(|| Self { questions, at: 0, input: Input::default(), refused: String::new() })
    }

    pub fn question(&self) -> &v1::Question {
        &self.questions[self.at]
    }

    /// Which of how many, counted from 1.
    pub fn place(&self) -> (usize, usize) {
        (self.at + 1, self.questions.len())
    }

    /// What Enter would send; `None`: nothing is written.
    pub fn call(&self) -> Option<Call> {
        let text = self.input.value().trim();
        (!text.is_empty()).then(|| Call::Answer {
            task: self.question().task_id.clone(),
            question: self.question().id.clone(),
            text: text.to_owned(),
        })
    }

    /// A key that does not end the prompt.
    pub fn press(&mut self, key: KeyEvent) {
        match key.code {
            KeyCode::Up => self.choose(-1),
            KeyCode::Down => self.choose(1),
            KeyCode::Tab => {
                self.at = (self.at + 1) % self.questions.len();
                self.input.reset();
            }
            _ => edit(&mut self.input, key),
        }
        self.refused.clear();
    }

    /// Writes the option before or after the one that is written.
    fn choose(&mut self, step: isize) {
        let options = &self.question().options;
        let written = options.iter().position(|option| option == self.input.value());
        let next = match written {
            Some(place) => place.saturating_add_signed(step).min(options.len().saturating_sub(1)),
            None if step > 0 => 0,
            None => options.len().saturating_sub(1),
        };
        if let Some(option) = options.get(next) {
            self.input = Input::new(option.clone());
        }
    }
}

pub fn edit(input: &mut Input, key: KeyEvent) {
    input.handle_event(&Event::Key(key));
}

/// Text from the clipboard, as one line.
pub fn paste(input: &mut Input, text: &str) {
    for c in text.chars() {
        let c = if c.is_control() { ' ' } else { c };
        input.handle(tui_input::InputRequest::InsertChar(c));
    }
}
