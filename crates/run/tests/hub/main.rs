//! The hub over the memory store, with scripted agents, virtual time and a store that can fail.

mod basics;
mod script;
mod two_hubs;
mod world;
