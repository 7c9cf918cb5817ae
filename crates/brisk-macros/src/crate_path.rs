//! Finds the path by which the user's crate reaches `brisk_core::types`.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, Ident, Path, Result};

/// Tokens of the path of `brisk_core::types`: through `explicit` if given, else through `brisk-core`, else through `brisk`.
pub(crate) fn types(explicit: Option<&Path>) -> Result<TokenStream> {
    if let Some(path) = explicit {
        return Ok(quote!(#path::__private::types));
    }
    if let Some(name) = dependency("brisk-core") {
        return Ok(quote!(::#name::types));
    }
    if let Some(name) = dependency("brisk") {
        return Ok(quote!(::#name::__private::types));
    }
    Err(Error::new(
        Span::call_site(),
        "this derive needs the crate `brisk`: add it to [dependencies], or say where it is with #[record(crate = ::path)]",
    ))
}

/// The name by which the crate being compiled knows `package`. `brisk-core` and `brisk` know themselves by `extern crate self as ...`.
fn dependency(package: &str) -> Option<Ident> {
    let name = match crate_name(package).ok()? {
        FoundCrate::Itself => package.replace('-', "_"),
        FoundCrate::Name(name) => name,
    };
    Some(Ident::new(&name, Span::call_site()))
}
