//! The command line over a whole factory: `factoryctl up` in a process of its
//! own, reached over its socket, with the scripted agent doing the work.

mod board;
mod children;
mod demo;
mod factory;
mod library;
mod prompts;
mod screen;
mod tasks;
mod top;
mod watching;
mod workflow;
