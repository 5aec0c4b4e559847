//! What tasks have learned: saved, searched, given to those that come later.

mod embed;
mod list;
mod nearest;
mod recall;
mod save;
mod search;
mod summarise;

pub use list::MemoryListRequest;
pub use save::Learned;
pub use search::MemoryQuery;
pub use summarise::SummedUp;
