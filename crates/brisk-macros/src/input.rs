//! What both derives need to know of a type: its variants and fields, a struct being an enum of one variant.

use crate::attributes::{FieldAttributes, TypeAttributes, VariantAttributes};
use crate::crate_path;
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, GenericParam, Generics, Ident, LitStr, Member, Path, Result, Type};

/// A type being derived for.
pub(crate) struct Input<'a> {
    /// Its name in Rust.
    pub(crate) ident: &'a Ident,
    /// Its generics, each type parameter bounded by the derived trait.
    pub(crate) generics: Generics,
    /// Path of `brisk_core::types`.
    pub(crate) types: TokenStream,
    /// Its name in the schema.
    pub(crate) name: LitStr,
    /// Its variants; of a struct just the one.
    pub(crate) variants: Vec<Variant>,
    /// Whether it is an enum.
    pub(crate) is_enum: bool,
}

/// A variant, or the whole of a struct.
pub(crate) struct Variant {
    /// What it is constructed by and matched with: `Self` or `Self::Name`.
    pub(crate) path: TokenStream,
    /// Its name in the schema.
    pub(crate) name: LitStr,
    /// Its fields.
    pub(crate) fields: Vec<Field>,
}

/// A field of a variant.
pub(crate) struct Field {
    /// Its name or index in Rust.
    pub(crate) member: Member,
    /// What it is bound to in patterns.
    pub(crate) binding: Ident,
    /// Its type.
    pub(crate) ty: Type,
    /// Its name in the schema.
    pub(crate) name: LitStr,
    /// Whether `Default` stands in for it.
    pub(crate) default: bool,
    /// Module with its codec, where the type has none itself.
    pub(crate) with: Option<Path>,
}

impl<'a> Input<'a> {
    /// Reads the type; `derived` is the name of the trait, for the bounds on type parameters.
    pub(crate) fn read(input: &'a DeriveInput, derived: &str) -> Result<Self> {
        let attributes = TypeAttributes::read(&input.attrs)?;
        let types = crate_path::types(attributes.krate.as_ref())?;
        let name = attributes.name.unwrap_or_else(|| text(&input.ident));
        let (variants, is_enum) = match &input.data {
            Data::Struct(data) => (vec![Variant { path: quote!(Self), name: name.clone(), fields: fields(&data.fields)? }], false),
            Data::Enum(data) if data.variants.is_empty() => {
                return Err(Error::new(input.ident.span(), "an enum without variants has no values, so it cannot be a record"));
            }
            Data::Enum(data) => (data.variants.iter().map(variant).collect::<Result<_>>()?, true),
            Data::Union(data) => {
                return Err(Error::new(data.union_token.span, "a union cannot be a record: use a struct or an enum"));
            }
        };
        let generics = bounded(&input.generics, &types, derived)?;
        Ok(Self { ident: &input.ident, generics, types, name, variants, is_enum })
    }

    /// `match self { ... }` with an arm per variant that binds its fields.
    pub(crate) fn match_self(&self, arm: impl Fn(usize, &Variant) -> TokenStream) -> TokenStream {
        let arms = self.variants.iter().enumerate().map(|(index, variant)| {
            let (pattern, body) = (variant.pattern(), arm(index, variant));
            quote!(#pattern => { #body })
        });
        quote!(match self { #(#arms)* })
    }
}

impl Variant {
    fn pattern(&self) -> TokenStream {
        let path = &self.path;
        let fields = self.fields.iter().map(|Field { member, binding, .. }| quote!(#member: #binding));
        quote!(#path { #(#fields),* })
    }

    /// Constructs it, each field from what `value` gives.
    pub(crate) fn construct(&self, value: impl Fn(&Field) -> TokenStream) -> TokenStream {
        let path = &self.path;
        let fields = self.fields.iter().map(|field| {
            let (member, value) = (&field.member, value(field));
            quote!(#member: #value)
        });
        quote!(#path { #(#fields),* })
    }
}

impl Field {
    /// The function `name` that treats this field: of its module if it has one, else of the trait. Errors about it point to the type.
    pub(crate) fn function(&self, types: &TokenStream, derived: &str, name: &str) -> TokenStream {
        let name = Ident::new(name, Span::call_site());
        if let Some(module) = &self.with {
            return quote!(#module::#name);
        }
        let derived = Ident::new(derived, Span::call_site());
        let (ty, span) = (&self.ty, self.ty.span().resolved_at(Span::call_site()));
        quote::quote_spanned!(span=> <#ty as #types::#derived>::#name)
    }
}

fn variant(variant: &syn::Variant) -> Result<Variant> {
    let ident = &variant.ident;
    let name = VariantAttributes::read(&variant.attrs)?.name.unwrap_or_else(|| text(ident));
    Ok(Variant { path: quote!(Self::#ident), name, fields: fields(&variant.fields)? })
}

fn fields(fields: &Fields) -> Result<Vec<Field>> {
    fields.members().zip(fields).enumerate().map(|(index, (member, field))| read_field(index, member, field)).collect()
}

fn read_field(index: usize, member: Member, field: &syn::Field) -> Result<Field> {
    let attributes = FieldAttributes::read(&field.attrs)?;
    let own_name = match &member {
        Member::Named(ident) => text(ident),
        Member::Unnamed(index) => LitStr::new(&index.index.to_string(), index.span),
    };
    Ok(Field {
        member,
        binding: format_ident!("field_{index}"),
        ty: field.ty.clone(),
        name: attributes.name.unwrap_or(own_name),
        default: attributes.default,
        with: attributes.with,
    })
}

fn text(ident: &Ident) -> LitStr {
    LitStr::new(&ident.unraw().to_string(), ident.span())
}

/// The generics with `T: derived` for each type parameter.
fn bounded(generics: &Generics, types: &TokenStream, derived: &str) -> Result<Generics> {
    if let Some(lifetime) = generics.lifetimes().next() {
        return Err(Error::new(
            lifetime.span(),
            "a record cannot borrow: it outlives the function that made it. Use owned types (`String` for `&str`)",
        ));
    }
    let derived = Ident::new(derived, Span::call_site());
    let mut generics = generics.clone();
    for parameter in &mut generics.params {
        if let GenericParam::Type(parameter) = parameter {
            parameter.bounds.push(syn::parse_quote!(#types::#derived));
        }
    }
    Ok(generics)
}
