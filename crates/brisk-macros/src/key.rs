//! `#[derive(Key)]`.

use crate::input::{Input, Variant};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, LitByteStr, Result};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let input = Input::read(input, "Key")?;
    let (ident, types) = (input.ident, &input.types);
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let (key_hash, encode, decode) = (key_hash(&input), encode_ordered(&input), decode_ordered(&input));
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #types::Key for #ident #type_generics #where_clause {
            fn key_hash(&self) -> u64 {
                #key_hash
            }

            fn encode_ordered(&self, out: &mut ::std::vec::Vec<u8>) {
                #encode
            }

            fn decode_ordered(input: &mut #types::Decoder<'_>) -> #types::__macro::Result<Self> {
                #decode
            }
        }
    })
}

fn key_hash(input: &Input<'_>) -> TokenStream {
    let types = &input.types;
    input.match_self(|_, variant| {
        let name = input.is_enum.then(|| {
            let name = LitByteStr::new(variant.name.value().as_bytes(), variant.name.span());
            quote!(const { #types::hash::hash_bytes(#name) })
        });
        let fields = variant.fields.iter().map(|field| {
            let (key_hash, binding) = (field.function(types, "Key", "key_hash"), &field.binding);
            quote!(#key_hash(#binding))
        });
        let mut hashes = name.into_iter().chain(fields);
        let first = hashes.next().unwrap_or_else(|| quote!(#types::hash::hash_null()));
        hashes.fold(first, |hash, next| quote!(#types::hash::combine(#hash, #next)))
    })
}

fn encode_ordered(input: &Input<'_>) -> TokenStream {
    let types = &input.types;
    input.match_self(|index, variant| {
        let index = index as u32;
        let tag = input.is_enum.then(|| quote!(#types::put_ordered_tag(out, #index);));
        let fields = variant.fields.iter().map(|field| {
            let (encode, binding) = (field.function(types, "Key", "encode_ordered"), &field.binding);
            quote!(#encode(#binding, out);)
        });
        quote!(#tag #(#fields)*)
    })
}

fn decode_ordered(input: &Input<'_>) -> TokenStream {
    let types = &input.types;
    let construct = |variant: &Variant| {
        let value = variant.construct(|field| {
            let decode = field.function(types, "Key", "decode_ordered");
            quote!(#decode(input)?)
        });
        quote!(::core::result::Result::Ok(#value))
    };
    if !input.is_enum {
        return input.variants.iter().map(construct).collect();
    }
    let arms = input.variants.iter().enumerate().map(|(index, variant)| {
        let (index, value) = (index as u32, construct(variant));
        quote!(#index => #value,)
    });
    let name = &input.name;
    quote! {
        match input.ordered_tag()? {
            #(#arms)*
            tag => ::core::result::Result::Err(input.unknown_variant(#name, ::core::convert::From::from(tag))),
        }
    }
}
