//! Reads `#[record(...)]`.

use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::Parse;
use syn::{Attribute, LitStr, Path, Result, Token};

/// Attributes of the type.
#[derive(Default)]
pub(crate) struct TypeAttributes {
    /// Name in the schema.
    pub(crate) name: Option<LitStr>,
    /// Path of the facade.
    pub(crate) krate: Option<Path>,
}

/// Attributes of a variant.
#[derive(Default)]
pub(crate) struct VariantAttributes {
    /// Name in the schema.
    pub(crate) name: Option<LitStr>,
}

/// Attributes of a field.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    /// Name in the schema.
    pub(crate) name: Option<LitStr>,
    /// Whether `Default` stands in for a missing field.
    pub(crate) default: bool,
    /// Module with the codec.
    pub(crate) with: Option<Path>,
}

impl TypeAttributes {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut this = Self::default();
        each(attributes, |key, meta| match key {
            "name" => set(&mut this.name, meta),
            "crate" => set_with(&mut this.krate, meta, Path::parse_mod_style),
            _ => Err(meta.error("expected `name = \"...\"` or `crate = path`")),
        })?;
        Ok(this)
    }
}

impl VariantAttributes {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut this = Self::default();
        each(attributes, |key, meta| match key {
            "name" => set(&mut this.name, meta),
            _ => Err(meta.error("expected `name = \"...\"`")),
        })?;
        Ok(this)
    }
}

impl FieldAttributes {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut this = Self::default();
        each(attributes, |key, meta| match key {
            "name" => set(&mut this.name, meta),
            "with" => set_with(&mut this.with, meta, Path::parse_mod_style),
            "default" => {
                this.default = true;
                Ok(())
            }
            _ => Err(meta.error("expected `with = module`, `default` or `name = \"...\"`")),
        })?;
        Ok(this)
    }
}

/// Visits each entry of each `#[record(...)]`.
fn each(attributes: &[Attribute], mut visit: impl FnMut(&str, &ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("record")) {
        attribute.parse_nested_meta(|meta| {
            let key = meta.path.get_ident().map(|ident| ident.unraw().to_string());
            visit(key.as_deref().unwrap_or_default(), &meta)
        })?;
    }
    Ok(())
}

fn set<T: Parse>(slot: &mut Option<T>, meta: &ParseNestedMeta<'_>) -> Result<()> {
    set_with(slot, meta, T::parse)
}

fn set_with<T>(slot: &mut Option<T>, meta: &ParseNestedMeta<'_>, parse: fn(syn::parse::ParseStream<'_>) -> Result<T>) -> Result<()> {
    if slot.is_some() {
        return Err(meta.error("this is already given"));
    }
    meta.input.parse::<Token![=]>()?;
    *slot = Some(parse(meta.input)?);
    Ok(())
}
