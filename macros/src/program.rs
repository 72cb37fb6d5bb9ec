use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, Result};

/// A plain `main` that runs the function, or the one that is asked for, as the main of a node.
pub(crate) fn main(arguments: &TokenStream, function: &ItemFn) -> Result<TokenStream> {
    check("main", arguments, function)?;
    let (visibility, name) = (&function.vis, &function.sig.ident);
    let entry = entry_of(function);
    Ok(quote! {
        #visibility fn #name() -> ::std::process::ExitCode {
            #function
            static MAIN: ::tidings::__private::Entry = #entry;
            ::tidings::__private::inventory::submit!(#entry);
            ::tidings::__private::run_program(&MAIN)
        }
    })
}

/// The function as it stands, and its place in the program's list.
pub(crate) fn entry(arguments: &TokenStream, function: &ItemFn) -> Result<TokenStream> {
    check("entry", arguments, function)?;
    let entry = entry_of(function);
    Ok(quote! {
        #function
        ::tidings::__private::inventory::submit!(#entry);
    })
}

fn check(attribute: &str, arguments: &TokenStream, function: &ItemFn) -> Result<()> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, format!("`#[tidings::{attribute}]` takes no arguments")));
    }
    let signature = &function.sig;
    if signature.asyncness.is_none() || signature.inputs.len() != 1 || !signature.generics.params.is_empty() {
        let message = format!(
            "`#[tidings::{attribute}]` stands on `async fn {}(router: Arc<Router>) -> tidings::Result<()>`",
            signature.ident
        );
        return Err(Error::new_spanned(signature, message));
    }
    Ok(())
}

fn entry_of(function: &ItemFn) -> TokenStream {
    let name = &function.sig.ident;
    quote! {
        ::tidings::__private::Entry {
            module: ::core::module_path!(),
            name: ::core::stringify!(#name),
            run: |router| ::std::boxed::Box::pin(#name(router)),
        }
    }
}
