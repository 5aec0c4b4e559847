//! What tasks have learned: saved, searched, given to those that come later.

mod list;
mod recall;
mod save;
mod search;
mod summarise;

pub use list::MemoryListRequest;
pub use save::Learned;
pub use search::MemoryQuery;
pub use summarise::SummedUp;
