use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Field, Index, Member, Path, Result, parse_quote};

/// `impl State` for a struct.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "`State` is derived for structs"));
    };
    let home = home(input)?;
    let renewed = data.fields.iter().enumerate().filter(|(_, field)| !is_kept(field));
    let members = renewed.map(|(index, field)| match &field.ident {
        Some(name) => Member::Named(name.clone()),
        None => Member::Unnamed(Index::from(index)),
    });
    let (name, (generics, types, bounds)) = (&input.ident, input.generics.split_for_impl());
    Ok(quote! {
        impl #generics #home::State for #name #types #bounds {
            fn renew(&mut self) {
                #( self.#members = ::core::default::Default::default(); )*
            }
        }
    })
}

fn is_kept(field: &Field) -> bool {
    field.attrs.iter().any(|attribute| attribute.path().is_ident("keep"))
}

/// The crate in which `State` is found.
fn home(input: &DeriveInput) -> Result<Path> {
    let mut home: Path = parse_quote!(::tidings);
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("state")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("`#[state(crate = path)]` is all there is"));
            }
            home = meta.value()?.parse()?;
            Ok(())
        })?;
    }
    Ok(home)
}
