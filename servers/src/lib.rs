//! Private servers: Redis and NATS as they are installed on this machine, for a program that needs one for a while.
//!
//! * [`Private`] is one with default settings, which nobody else finds by chance.
//! * [`Guarded`] is the process of any server. It does not outlive the process that has started it, however that ends.
//!
//! Examples, tests and `ditask bench` stand on it. No part of the API of Tidings.

mod guarded;
mod missing;
mod private;

pub use guarded::Guarded;
pub use missing::Missing;
pub use private::Private;
