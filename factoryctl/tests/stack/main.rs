//! The command line over a whole factory: `factoryctl up` in a process of its
//! own, reached over its socket, with the scripted agent doing the work.

mod board;
mod children;
mod demo;
mod factory;
mod library;
mod tasks;
mod watching;
mod workflow;
