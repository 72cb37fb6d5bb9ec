//! The macros of Tidings. Use them by way of the crate `tidings`.

mod program;
mod state;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemFn, parse_macro_input};

/// Derives `tidings::State`: after each step every field is reset to its default, but for those marked `#[keep]`.
///
/// `#[state(crate = path)]` on the type names the crate in which `State` is found; default `::tidings`.
#[proc_macro_derive(State, attributes(keep, state))]
pub fn derive_state(input: TokenStream) -> TokenStream {
    state::derive(&parse_macro_input!(input as DeriveInput))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes `async fn main(router: Arc<Router>) -> tidings::Result<()>` the program's main.
///
/// Started plainly, the program runs as one node that stands alone. It exits with 0, or prints the error with what
/// caused it and exits with 1. The environment variable `TIDINGS_MAIN` names another function of the program to run in
/// its place, one with [`macro@entry`]: `module::function` or the end of it, with `.` for `::` if you like. An unknown
/// one is an error that lists those there are, with exit status 64.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let function = parse_macro_input!(function as ItemFn);
    program::main(&arguments.into(), &function).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Lets who starts the program pick this function in the place of its [`macro@main`].
///
/// It stands on `async fn name(router: Arc<Router>) -> tidings::Result<()>`.
#[proc_macro_attribute]
pub fn entry(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let function = parse_macro_input!(function as ItemFn);
    program::entry(&arguments.into(), &function).unwrap_or_else(syn::Error::into_compile_error).into()
}
