//! Server-sent events: an encoder, and an incremental decoder by the rules of the WHATWG HTML standard,
//! "Server-sent events", sections "Parsing an event stream" and "Interpreting an event stream".

mod decode;
mod encode;

pub use decode::{DEFAULT_MAX_EVENT, Decoder, Event, TooLarge};
pub use encode::{BadField, Frame, write_comment, write_retry};
