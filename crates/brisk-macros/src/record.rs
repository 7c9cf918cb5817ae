//! `#[derive(Record)]`.

use crate::input::{Field, Input, Variant};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Result};

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let input = Input::read(input, "Record")?;
    let (ident, types) = (input.ident, &input.types);
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let (encode, decode, schema, heap_bytes) = (encode(&input), decode(&input), schema(&input), heap_bytes(&input));
    let assign = assign(&input);
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #types::Record for #ident #type_generics #where_clause {
            fn encode(&self, out: &mut ::std::vec::Vec<u8>) {
                #encode
            }

            fn decode(input: &mut #types::Decoder<'_>) -> #types::__macro::Result<Self> {
                #decode
            }

            fn schema() -> #types::Schema {
                #schema
            }

            fn heap_bytes(&self) -> usize {
                #heap_bytes
            }

            #assign
        }
    })
}

fn encode(input: &Input<'_>) -> TokenStream {
    let types = &input.types;
    input.match_self(|index, variant| {
        let index = index as u64;
        let tag = input.is_enum.then(|| quote!(#types::put_varint(out, #index);));
        let fields = variant.fields.iter().map(|field| {
            let (encode, binding) = (field.function(types, "Record", "encode"), &field.binding);
            quote!(#encode(#binding, out);)
        });
        quote!(#tag #(#fields)*)
    })
}

fn decode(input: &Input<'_>) -> TokenStream {
    let types = &input.types;
    let construct = |variant: &Variant| {
        let value = variant.construct(|field| {
            let decode = field.function(types, "Record", "decode");
            quote!(#decode(input)?)
        });
        quote!(::core::result::Result::Ok(#value))
    };
    if !input.is_enum {
        return input.variants.iter().map(construct).collect();
    }
    let arms = input.variants.iter().enumerate().map(|(index, variant)| {
        let (index, value) = (index as u64, construct(variant));
        quote!(#index => #value,)
    });
    let name = &input.name;
    quote! {
        match input.varint()? {
            #(#arms)*
            tag => ::core::result::Result::Err(input.unknown_variant(#name, tag)),
        }
    }
}

fn schema(input: &Input<'_>) -> TokenStream {
    let (types, name) = (&input.types, &input.name);
    let fields = |variant: &Variant| {
        let fields = variant.fields.iter().map(|field| schema_field(types, field));
        quote!(::std::vec::Vec::from([#(#fields),*]))
    };
    let make = if input.is_enum {
        let variants = input.variants.iter().map(|variant| {
            let (name, fields) = (&variant.name, fields(variant));
            quote!(#types::Variant::new(#name, #fields))
        });
        quote!(#types::Schema::Enum { name, variants: ::std::vec::Vec::from([#(#variants),*]) })
    } else {
        let fields: TokenStream = input.variants.iter().map(fields).collect();
        quote!(#types::Schema::Struct { name, fields: #fields })
    };
    quote!(#types::named::<Self>(#name, |name| #make))
}

fn schema_field(types: &TokenStream, field: &Field) -> TokenStream {
    let (name, schema, ty) = (&field.name, field.function(types, "Record", "schema"), &field.ty);
    let encode = field.function(types, "Record", "encode");
    let default = field.default.then(|| quote!(.with_default_of::<#ty>(#encode)));
    quote!(#types::Field::new(#name, #schema())#default)
}

/// Of a struct field by field; an enum has that of the trait.
fn assign(input: &Input<'_>) -> TokenStream {
    if input.is_enum {
        return TokenStream::new();
    }
    let types = &input.types;
    let fields = input.variants.iter().flat_map(|variant| &variant.fields).map(|field| {
        let member = &field.member;
        // The codec of a module does not say how its type is copied.
        let assign = match &field.with {
            Some(_) => quote!(::core::clone::Clone::clone_from),
            None => field.function(types, "Record", "assign"),
        };
        quote!(#assign(&mut self.#member, &other.#member);)
    });
    let fields: TokenStream = fields.collect();
    let other = if fields.is_empty() { quote!(_other) } else { quote!(other) };
    quote! {
        fn assign(&mut self, #other: &Self) {
            #fields
        }
    }
}

fn heap_bytes(input: &Input<'_>) -> TokenStream {
    let types = &input.types;
    input.match_self(|_, variant| {
        let fields = variant.fields.iter().map(|field| {
            let binding = &field.binding;
            // A module does not know: its field counts as nothing beyond its own size.
            match &field.with {
                Some(_) => quote!(let _ = #binding;),
                None => {
                    let heap_bytes = field.function(types, "Record", "heap_bytes");
                    quote!(bytes += #heap_bytes(#binding);)
                }
            }
        });
        let uses = variant.fields.iter().any(|field| field.with.is_none());
        if uses { quote!(let mut bytes = 0; #(#fields)* bytes) } else { quote!(#(#fields)* 0) }
    })
}
