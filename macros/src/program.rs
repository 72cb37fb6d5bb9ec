use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, Result};

/// A plain `main` that runs the function as the main of a node.
pub(crate) fn main(arguments: &TokenStream, function: &ItemFn) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, "`#[tidings::main]` takes no arguments"));
    }
    let signature = &function.sig;
    if signature.asyncness.is_none() || signature.inputs.len() != 1 {
        let message =
            "`#[tidings::main]` stands on `async fn main(router: Arc<Router>) -> tidings::Result<()>`";
        return Err(Error::new_spanned(signature, message));
    }
    let name = &signature.ident;
    Ok(quote! {
        fn #name() -> ::std::process::ExitCode {
            #function
            ::tidings::__private::run_main(#name)
        }
    })
}
