//! How messages between processes are written: fields in order, numbers in LEB128, lists and texts with their length, a tag before each
//! variant.
//!
//! | what | file |
//! |---|---|
//! | the trait, what is written and read with it, plain types | here |
//! | a job: its graph as it can be told, its configuration, its program | `graph` |
//! | tasks, their states, what they store | `task` |
//! | the messages of the components | `messages` |
//!
//! Both sides speak one version of the protocol (`link::PROTOCOL_VERSION`), so nothing here has a version of its own. Reading never panics,
//! and sets aside memory for what is there only.

pub(crate) mod graph;
pub(crate) mod messages;
pub(crate) mod task;
#[cfg(test)]
mod tests;

use crate::blob::BlobId;
use crate::link::Link;
use crate::transport::{Address, Reply};
use brisk_base::ids::{AttemptId, CheckpointId, JobId, OperatorId, TaskManagerId, VertexId};
use brisk_base::options::Configuration;
use brisk_base::{Error, ErrorKind, Result, Timestamp};
use brisk_core::types::{Decoder, put_bytes, put_varint, put_zigzag};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Elements of a list for which memory is set aside before they are read.
const FIRST_CAPACITY: usize = 64;

/// What can be said to another process.
pub trait Wire: Sized {
    /// Appends the bytes. A [`Reply`] can be put once.
    fn put(&self, out: &mut Output<'_>);

    /// Reads them.
    ///
    /// # Errors
    /// `Corrupt` when they are something else.
    fn get(input: &mut Input<'_>) -> Result<Self>;
}

/// Where bytes go, and the link whose actors they may name.
pub struct Output<'a> {
    pub(crate) bytes: Vec<u8>,
    link: &'a Arc<Link>,
    /// What cannot be said to another process.
    refused: Option<&'static str>,
}

/// Where bytes come from, and the link whose actors they may name.
pub struct Input<'a> {
    pub(crate) decoder: Decoder<'a>,
    link: &'a Arc<Link>,
}

impl<'a> Output<'a> {
    pub(crate) const fn new(bytes: Vec<u8>, link: &'a Arc<Link>) -> Self {
        Self { bytes, link, refused: None }
    }

    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        match self.refused {
            None => Ok(self.bytes),
            Some(what) => Err(Error::bug(format!("{what} is not for other processes"))),
        }
    }

    /// Something was put that stays within a process.
    pub(crate) const fn refuse(&mut self, what: &'static str) {
        self.refused = Some(what);
    }
}

impl<'a> Input<'a> {
    pub(crate) const fn new(decoder: Decoder<'a>, link: &'a Arc<Link>) -> Self {
        Self { decoder, link }
    }
}

/// Structs whose fields are written in this order.
macro_rules! wire_struct {
    ($($name:ty { $($field:ident),* $(,)? })*) => {$(
        impl $crate::wire::Wire for $name {
            fn put(&self, out: &mut $crate::wire::Output<'_>) {
                $($crate::wire::Wire::put(&self.$field, out);)*
            }

            fn get(input: &mut $crate::wire::Input<'_>) -> ::brisk_base::Result<Self> {
                Ok(Self { $($field: $crate::wire::Wire::get(input)?),* })
            }
        }
    )*};
}
pub(crate) use wire_struct;

/// Enums: a tag for each variant, and its fields. Variants behind `!` stay within a process.
macro_rules! wire_enum {
    ($($name:ident {
        $($tag:literal = $variant:ident $(( $($position:ident),* ))? $({ $($field:ident),* $(,)? })?),* $(,)?
    } $(! $local:pat,)?)*) => {$(
        impl $crate::wire::Wire for $name {
            fn put(&self, out: &mut $crate::wire::Output<'_>) {
                match self {
                    $(Self::$variant $(( $($position),* ))? $({ $($field),* })? => {
                        out.bytes.push($tag);
                        $($($crate::wire::Wire::put($position, out);)*)?
                        $($($crate::wire::Wire::put($field, out);)*)?
                    })*
                    $($local => out.refuse(stringify!($name)),)?
                }
            }

            fn get(input: &mut $crate::wire::Input<'_>) -> ::brisk_base::Result<Self> {
                match input.decoder.byte()? {
                    $($tag => {
                        $($(let $position = $crate::wire::Wire::get(input)?;)*)?
                        $($(let $field = $crate::wire::Wire::get(input)?;)*)?
                        Ok(Self::$variant $(( $($position),* ))? $({ $($field),* })?)
                    })*
                    other => Err(input.decoder.unknown_variant(stringify!($name), u64::from(other))),
                }
            }
        }
    )*};
}
pub(crate) use wire_enum;

/// Numbers, written as LEB128.
macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Output<'_>) {
                put_varint(&mut out.bytes, *self as u64);
            }

            fn get(input: &mut Input<'_>) -> Result<Self> {
                let number = input.decoder.varint()?;
                Self::try_from(number).map_err(|_| input.decoder.corrupt(format!("the number {number} is too large")))
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64, usize);

/// Types around one field, written as that.
macro_rules! newtypes {
    ($($name:ident),*) => {$(
        impl Wire for $name {
            fn put(&self, out: &mut Output<'_>) {
                self.0.put(out);
            }

            fn get(input: &mut Input<'_>) -> Result<Self> {
                Wire::get(input).map($name)
            }
        }
    )*};
}
newtypes!(BlobId, CheckpointId, JobId, OperatorId, TaskManagerId, Timestamp, VertexId);

wire_struct! {
    AttemptId { vertex, subtask, attempt }
}

wire_enum! {
    ErrorKind { 0 = User, 1 = Transient, 2 = Corrupt, 3 = Fenced, 4 = Bug }
}

impl Wire for () {
    fn put(&self, _out: &mut Output<'_>) {}

    fn get(_input: &mut Input<'_>) -> Result<Self> {
        Ok(())
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Output<'_>) {
        out.bytes.push(u8::from(*self));
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        match input.decoder.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(input.decoder.corrupt(format!("0 or 1 expected, found {other}"))),
        }
    }
}

impl Wire for i64 {
    fn put(&self, out: &mut Output<'_>) {
        put_zigzag(&mut out.bytes, *self);
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        input.decoder.zigzag()
    }
}

impl Wire for i32 {
    fn put(&self, out: &mut Output<'_>) {
        put_zigzag(&mut out.bytes, i64::from(*self));
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        let number = input.decoder.zigzag()?;
        Self::try_from(number).map_err(|_| input.decoder.corrupt(format!("the number {number} is too large")))
    }
}

impl Wire for f64 {
    fn put(&self, out: &mut Output<'_>) {
        out.bytes.extend_from_slice(&self.to_le_bytes());
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        input.decoder.take_array().map(Self::from_le_bytes)
    }
}

impl Wire for u128 {
    fn put(&self, out: &mut Output<'_>) {
        out.bytes.extend_from_slice(&self.to_le_bytes());
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        input.decoder.take_array().map(Self::from_le_bytes)
    }
}

impl Wire for Duration {
    fn put(&self, out: &mut Output<'_>) {
        put_varint(&mut out.bytes, u64::try_from(self.as_nanos()).unwrap_or(u64::MAX));
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        input.decoder.varint().map(Self::from_nanos)
    }
}

impl Wire for String {
    fn put(&self, out: &mut Output<'_>) {
        put_bytes(&mut out.bytes, self.as_bytes());
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        input.decoder.text().map(str::to_owned)
    }
}

/// Bytes, written in one piece; [`Vec`] of numbers would have a number each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bytes(pub Vec<u8>);

impl Wire for Bytes {
    fn put(&self, out: &mut Output<'_>) {
        put_bytes(&mut out.bytes, &self.0);
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        input.decoder.bytes().map(|bytes| Self(bytes.to_vec()))
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Output<'_>) {
        put_varint(&mut out.bytes, self.len() as u64);
        self.iter().for_each(|element| element.put(out));
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        let count = input.decoder.varint()?;
        let mut list = Self::with_capacity((count as usize).min(FIRST_CAPACITY));
        for _ in 0..count {
            let before = input.decoder.remaining();
            list.push(T::get(input)?);
            if before == input.decoder.remaining() && count > FIRST_CAPACITY as u64 {
                return Err(input.decoder.corrupt("a list is longer than what there is"));
            }
        }
        Ok(list)
    }
}

impl<K: Wire + Ord, V: Wire> Wire for BTreeMap<K, V> {
    fn put(&self, out: &mut Output<'_>) {
        put_varint(&mut out.bytes, self.len() as u64);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        let count = input.decoder.count()?;
        (0..count).map(|_| Ok((K::get(input)?, V::get(input)?))).collect()
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Output<'_>) {
        self.is_some().put(out);
        self.iter().for_each(|value| value.put(out));
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        bool::get(input)?.then(|| T::get(input)).transpose()
    }
}

impl<T: Wire> Wire for Result<T> {
    fn put(&self, out: &mut Output<'_>) {
        self.is_ok().put(out);
        match self {
            Ok(value) => value.put(out),
            Err(error) => error.put(out),
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        Ok(if bool::get(input)? { Ok(T::get(input)?) } else { Err(Error::get(input)?) })
    }
}

impl<T: Wire> Wire for Box<T> {
    fn put(&self, out: &mut Output<'_>) {
        (**self).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        T::get(input).map(Self::new)
    }
}

impl<T: Wire> Wire for Arc<T> {
    fn put(&self, out: &mut Output<'_>) {
        (**self).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        T::get(input).map(Self::new)
    }
}

/// Tuples, written as their fields.
macro_rules! tuples {
    ($(($($name:ident),*))*) => {$(
        impl<$($name: Wire),*> Wire for ($($name,)*) {
            #[expect(non_snake_case, reason = "the names of the types serve as those of the fields")]
            fn put(&self, out: &mut Output<'_>) {
                let ($($name,)*) = self;
                $($name.put(out);)*
            }

            fn get(input: &mut Input<'_>) -> Result<Self> {
                Ok(($($name::get(input)?,)*))
            }
        }
    )*};
}
tuples! { (A, B) (A, B, C) (A, B, C, D) }

impl Wire for Error {
    fn put(&self, out: &mut Output<'_>) {
        self.kind().put(out);
        self.message().to_owned().put(out);
        self.places().to_vec().put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        let (kind, message) = (ErrorKind::get(input)?, String::get(input)?);
        let places = Vec::<String>::get(input)?;
        Ok(places.into_iter().fold(Self::new(kind, message), Self::context))
    }
}

impl Wire for Configuration {
    fn put(&self, out: &mut Output<'_>) {
        let all: BTreeMap<String, String> = self.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        all.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        <BTreeMap<String, String> as Wire>::get(input).map(|all| all.into_iter().collect())
    }
}

impl<M: Wire + Send + 'static> Wire for Address<M> {
    fn put(&self, out: &mut Output<'_>) {
        out.link.export(self).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        let number = u64::get(input)?;
        Ok(input.link.import(number))
    }
}

impl<T: Wire + Send + 'static> Wire for Reply<T> {
    fn put(&self, out: &mut Output<'_>) {
        out.link.request(self.hand_over()).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        let request = u64::get(input)?;
        Ok(input.link.reply(request))
    }
}
