//! The store held to a model of the protocol, over histories that nobody thought of.
//!
//! Steps are drawn at random and taken by the model and by the store. After each
//! the store has answered what the model answers, its rows say what the model
//! says, and the feed has grown by just what happened. A history that fails is
//! cut down to the fewest steps that still do. `PROPTEST_CASES` sets how many are tried.

mod board;
mod protocol;
mod questions;
mod rows;
mod rules;
mod steps;
mod store;

use std::marker::PhantomData;
use std::path::Path;

use factory_coordinator::store::{Rules, Store};
use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use self::protocol::Model;
use self::steps::Step;
use self::store::UnderTest;
use crate::bench::at;

/// Histories tried where nothing else is said.
const CASES: u32 = 40;

/// A store whose files outlive its process.
pub trait Reopen: Store + Sized {
    async fn reopen(root: &Path, rules: Rules) -> Self;
}

/// That a store of this kind does as the model does.
pub struct Holds<S>(PhantomData<S>);

pub fn config() -> Config {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let usual = Config::default();
    Config { cases: if asked { usual.cases } else { CASES }, failure_persistence: None, ..usual }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::at(at(0))).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Step> {
        steps::next(model)
    }

    fn apply(mut model: Self, step: &Step) -> Self {
        model.take(step);
        model
    }

    fn preconditions(model: &Self, step: &Step) -> bool {
        steps::is_possible(model, step)
    }
}

impl<S: Reopen> StateMachineTest for Holds<S> {
    type SystemUnderTest = UnderTest<S>;
    type Reference = Model;

    fn init_test(model: &Model) -> UnderTest<S> {
        UnderTest::new(model.now)
    }

    fn apply(mut store: UnderTest<S>, model: &Model, step: Step) -> UnderTest<S> {
        assert_eq!(store.take(&step), model.answer, "the answer to {step:?}");
        store
    }

    fn check_invariants(store: &UnderTest<S>, model: &Model) {
        store.compare_rows(model);
        store.compare_feed(model);
    }

    fn teardown(store: UnderTest<S>, model: Model) {
        store.replay(&model);
    }
}
