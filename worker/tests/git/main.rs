//! The git side of the worker against real repositories, in a HOME of their own.

mod checkout;
mod checkpoint;
mod delivery;
mod errors;
mod fixture;
mod include;
mod leftovers;
mod runner;
mod setup;
mod upstreams;
