//! SQLite behind the [`Store`](super::Store).
