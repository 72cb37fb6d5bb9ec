use tidings_router_core::BoxError;

/// What handlers, steps and branches return: `()`, or `Result<(), E>` of any error.
pub trait Outcome: Send {
    /// The error, if it is one.
    ///
    /// # Errors
    ///
    /// The error that it is.
    fn into_result(self) -> Result<(), BoxError>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// The type that a function returns: stable Rust has no other way to write `!` here.
#[doc(hidden)]
pub trait Returned {
    /// It.
    type Type;
}

impl<R> Returned for fn() -> R {
    type Type = R;
}

// A function that does nothing but panic returns `!`.
impl Outcome for <fn() -> ! as Returned>::Type {
    fn into_result(self) -> Result<(), BoxError> {
        self
    }
}

impl<E: Into<BoxError> + Send> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// The error of a step, as what ends `run`: an error of ours stays what it is.
pub(crate) fn step_error(what: &str, error: BoxError) -> tidings_router_core::Error {
    match error.downcast::<tidings_router_core::Error>() {
        Ok(error) => *error,
        Err(error) => tidings_router_core::Error::failed(what, error),
    }
}
