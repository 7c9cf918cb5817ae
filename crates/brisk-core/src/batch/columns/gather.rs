//! Picks rows out of columns into new ones.
//!
//! One builder per column, one virtual call per column and batch; the loops over rows are monomorphised. Types: null, boolean, all
//! primitives (numbers, decimals, dates, times, timestamps, durations, intervals), text and bytes in all of Arrow's layouts but
//! dictionaries, and lists, maps and structs of these.

use arrow_array::builder::{BooleanBuilder, FixedSizeBinaryBuilder, GenericByteBuilder, GenericByteViewBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, BinaryType, BinaryViewType, ByteArrayType, ByteViewType, LargeBinaryType, LargeUtf8Type, StringViewType, Utf8Type,
};
use arrow_array::{
    Array, ArrayRef, GenericListArray, MapArray, NullArray, OffsetSizeTrait, PrimitiveArray, StructArray, downcast_primitive,
};
use arrow_buffer::{NullBuffer, NullBufferBuilder, OffsetBuffer, OffsetBufferBuilder};
use arrow_schema::{DataType, FieldRef, Fields};
use brisk_base::{Error, Result};
use std::sync::Arc;

/// Which rows of a column.
#[derive(Clone, Copy)]
pub(super) enum Selection<'a> {
    /// All of them.
    All,
    /// These, in this order; a row may come several times.
    Rows(&'a [u32]),
}

impl Selection<'_> {
    fn len(self, array: &dyn Array) -> usize {
        match self {
            Self::All => array.len(),
            Self::Rows(rows) => rows.len(),
        }
    }
}

/// Builds one column. Arrays given to it have the type it was made for.
pub(super) trait ColumnBuilder: Send {
    /// Appends rows of a column.
    fn append(&mut self, from: &dyn Array, selection: Selection<'_>);

    /// The column so far; nothing is left.
    fn finish(&mut self) -> ArrayRef;
}

/// Rows of a column, in this order; a row may come several times.
///
/// # Errors
/// When the type of the column cannot be gathered.
pub fn take_rows(column: &ArrayRef, rows: &[u32]) -> Result<ArrayRef> {
    let mut builder = builder_of(column.data_type())?;
    builder.append(column.as_ref(), Selection::Rows(rows));
    Ok(builder.finish())
}

/// Whether columns of a type can be exchanged.
///
/// # Errors
/// When they cannot, with what to do.
pub(super) fn check_type(data_type: &DataType) -> Result<()> {
    builder_of(data_type).map(drop)
}

macro_rules! primitive_builder {
    ($type:ty, $data_type:expr) => {
        Box::new(NumberBuilder::<$type>::new($data_type))
    };
}

/// A builder of columns of a type.
///
/// # Errors
/// When the type cannot be gathered.
pub(super) fn builder_of(data_type: &DataType) -> Result<Box<dyn ColumnBuilder>> {
    Ok(downcast_primitive! {
        data_type => (primitive_builder, data_type),
        DataType::Null => Box::new(NullBuilder(0)),
        DataType::Boolean => Box::new(BooleanBuilder::with_capacity(0)),
        DataType::Utf8 => Box::new(BytesBuilder::<Utf8Type>::default()),
        DataType::LargeUtf8 => Box::new(BytesBuilder::<LargeUtf8Type>::default()),
        DataType::Binary => Box::new(BytesBuilder::<BinaryType>::default()),
        DataType::LargeBinary => Box::new(BytesBuilder::<LargeBinaryType>::default()),
        DataType::Utf8View => Box::new(GenericByteViewBuilder::<StringViewType>::with_capacity(0)),
        DataType::BinaryView => Box::new(GenericByteViewBuilder::<BinaryViewType>::with_capacity(0)),
        DataType::FixedSizeBinary(width) if *width >= 0 => Box::new(FixedSizeBinaryBuilder::with_capacity(0, *width)),
        DataType::List(field) => Box::new(ListBuilder::<i32>::new(field)?),
        DataType::LargeList(field) => Box::new(ListBuilder::<i64>::new(field)?),
        DataType::Map(entries, sorted) => Box::new(MapBuilder { sorted: *sorted, entries: ListBuilder::new(entries)? }),
        DataType::Struct(fields) => Box::new(StructBuilder::new(fields)?),
        other => return Err(unsupported(other)),
    })
}

/// The error about a type that cannot flow between operators.
pub(super) fn unsupported(data_type: impl std::fmt::Display) -> Error {
    Error::user(format!(
        "a column of type {data_type} cannot flow between operators: cast it to a number, boolean, text, bytes, a date or time, \
         or a list, map or struct of these"
    ))
}

/// Builds columns of numbers and times.
struct NumberBuilder<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    data_type: DataType,
    /// Rows of the last column: the next will have about as many.
    usual: usize,
}

impl<T: ArrowPrimitiveType> NumberBuilder<T> {
    fn new(data_type: &DataType) -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0), data_type: data_type.clone(), usual: 0 }
    }
}

impl<T: ArrowPrimitiveType> ColumnBuilder for NumberBuilder<T> {
    fn append(&mut self, from: &dyn Array, selection: Selection<'_>) {
        let from = from.as_primitive::<T>();
        if self.values.is_empty() {
            self.values.reserve(self.usual.max(selection.len(from)));
        }
        let values = from.values();
        match selection {
            Selection::All => self.values.extend_from_slice(values),
            Selection::Rows(rows) => self.values.extend(rows.iter().map(|row| values[*row as usize])),
        }
        append_nulls(&mut self.nulls, from.nulls(), selection.len(from), selection);
    }

    fn finish(&mut self) -> ArrayRef {
        self.usual = self.values.len();
        let array = PrimitiveArray::<T>::new(std::mem::take(&mut self.values).into(), self.nulls.finish());
        Arc::new(array.with_data_type(self.data_type.clone()))
    }
}

impl ColumnBuilder for BooleanBuilder {
    fn append(&mut self, from: &dyn Array, selection: Selection<'_>) {
        let from = from.as_boolean();
        match selection {
            Selection::All => self.append_array(from),
            Selection::Rows(rows) => {
                rows.iter().map(|row| *row as usize).for_each(|row| self.append_option(from.is_valid(row).then(|| from.value(row))));
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(Self::finish(self))
    }
}

/// Builds columns of texts and bytes.
struct BytesBuilder<T: ByteArrayType> {
    /// There is none until the first row comes.
    builder: Option<GenericByteBuilder<T>>,
    /// Rows and bytes of the last column: the next will have about as many.
    usual: (usize, usize),
}

impl<T: ByteArrayType> Default for BytesBuilder<T> {
    fn default() -> Self {
        Self { builder: None, usual: (0, 0) }
    }
}

impl<T: ByteArrayType> ColumnBuilder for BytesBuilder<T> {
    fn append(&mut self, from: &dyn Array, selection: Selection<'_>) {
        let from = from.as_bytes::<T>();
        let builder = self.builder.get_or_insert_with(|| {
            let rows = selection.len(from);
            let bytes = from.value_data().len() / from.len().max(1) * rows;
            GenericByteBuilder::with_capacity(self.usual.0.max(rows), self.usual.1.max(bytes))
        });
        match selection {
            // Fails only when the offsets overflow, far above what a batch may hold.
            Selection::All => builder.append_array(from).expect("a batch is far smaller than 2 GB"),
            Selection::Rows(rows) if from.null_count() == 0 => rows.iter().for_each(|row| builder.append_value(from.value(*row as usize))),
            Selection::Rows(rows) => {
                rows.iter().map(|row| *row as usize).for_each(|row| builder.append_option(from.is_valid(row).then(|| from.value(row))));
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        let mut builder = self.builder.take().unwrap_or_else(|| GenericByteBuilder::with_capacity(0, 0));
        self.usual = (builder.offsets_slice().len(), builder.values_slice().len());
        Arc::new(builder.finish())
    }
}

impl<T: ByteViewType> ColumnBuilder for GenericByteViewBuilder<T> {
    /// Copies the bytes also where all rows are taken: sharing the buffers would keep those of many batches alive.
    fn append(&mut self, from: &dyn Array, selection: Selection<'_>) {
        let from = from.as_byte_view::<T>();
        let mut push = |row: usize| self.append_option(from.is_valid(row).then(|| from.value(row)));
        match selection {
            Selection::All => (0..from.len()).for_each(push),
            Selection::Rows(rows) => rows.iter().for_each(|row| push(*row as usize)),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(Self::finish(self))
    }
}

impl ColumnBuilder for FixedSizeBinaryBuilder {
    fn append(&mut self, from: &dyn Array, selection: Selection<'_>) {
        let from = from.as_fixed_size_binary();
        let mut push = |row: usize| match from.is_valid(row) {
            true => self.append_value(from.value(row)).expect("arrays of one type have one width"),
            false => self.append_null(),
        };
        match selection {
            Selection::All => (0..from.len()).for_each(push),
            Selection::Rows(rows) => rows.iter().for_each(|row| push(*row as usize)),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(Self::finish(self))
    }
}

/// Counts rows that are all null.
struct NullBuilder(usize);

impl ColumnBuilder for NullBuilder {
    fn append(&mut self, from: &dyn Array, selection: Selection<'_>) {
        self.0 += selection.len(from);
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(NullArray::new(std::mem::take(&mut self.0)))
    }
}

fn append_nulls(builder: &mut NullBufferBuilder, nulls: Option<&NullBuffer>, len: usize, selection: Selection<'_>) {
    match (nulls, selection) {
        (None, _) => builder.append_n_non_nulls(len),
        (Some(nulls), Selection::All) => builder.append_buffer(nulls),
        (Some(nulls), Selection::Rows(rows)) => rows.iter().for_each(|row| builder.append(nulls.is_valid(*row as usize))),
    }
}

/// Builds a column of structs.
struct StructBuilder {
    /// The type.
    fields: Fields,
    /// One per field.
    children: Vec<Box<dyn ColumnBuilder>>,
    nulls: NullBufferBuilder,
}

impl StructBuilder {
    fn new(fields: &Fields) -> Result<Self> {
        let children = fields.iter().map(|field| builder_of(field.data_type())).collect::<Result<_>>()?;
        Ok(Self { fields: fields.clone(), children, nulls: NullBufferBuilder::new(0) })
    }
}

impl ColumnBuilder for StructBuilder {
    fn append(&mut self, from: &dyn Array, selection: Selection<'_>) {
        let from = from.as_struct();
        append_nulls(&mut self.nulls, from.nulls(), selection.len(from), selection);
        for (child, column) in self.children.iter_mut().zip(from.columns()) {
            child.append(column.as_ref(), selection);
        }
    }

    fn finish(&mut self) -> ArrayRef {
        let len = self.nulls.len();
        let columns = self.children.iter_mut().map(|child| child.finish()).collect();
        let made = StructArray::try_new_with_length(self.fields.clone(), columns, self.nulls.finish(), len);
        Arc::new(made.expect("rows of structs are structs"))
    }
}

/// Builds a column of lists.
struct ListBuilder<O: OffsetSizeTrait> {
    /// What the lists hold.
    field: FieldRef,
    child: Box<dyn ColumnBuilder>,
    offsets: OffsetBufferBuilder<O>,
    nulls: NullBufferBuilder,
    /// Elements of the lists picked last.
    elements: Vec<u32>,
}

impl<O: OffsetSizeTrait> ListBuilder<O> {
    fn new(field: &FieldRef) -> Result<Self> {
        let child = builder_of(field.data_type())?;
        let (offsets, nulls) = (OffsetBufferBuilder::new(0), NullBufferBuilder::new(0));
        Ok(Self { field: Arc::clone(field), child, offsets, nulls, elements: Vec::new() })
    }

    /// Appends one list, a null's if it is null, and notes its elements.
    fn push(&mut self, bounds: &[O], is_valid: bool, row: usize) {
        let (start, end) = if is_valid { (bounds[row].as_usize(), bounds[row + 1].as_usize()) } else { (0, 0) };
        self.offsets.push_length(end - start);
        self.elements.extend(start as u32..end as u32);
    }

    /// Appends lists that lie in `values` between these bounds.
    fn append_lists(&mut self, from: &dyn Array, bounds: &[O], values: &dyn Array, selection: Selection<'_>) {
        append_nulls(&mut self.nulls, from.nulls(), selection.len(from), selection);
        match selection {
            Selection::All => (0..from.len()).for_each(|row| self.push(bounds, from.is_valid(row), row)),
            Selection::Rows(rows) => rows.iter().for_each(|row| self.push(bounds, from.is_valid(*row as usize), *row as usize)),
        }
        self.child.append(values, Selection::Rows(&self.elements));
        self.elements.clear();
    }

    /// What has been appended: bounds, elements and nulls.
    fn parts(&mut self) -> (OffsetBuffer<O>, ArrayRef, Option<NullBuffer>) {
        let offsets = std::mem::replace(&mut self.offsets, OffsetBufferBuilder::new(0)).finish();
        (offsets, self.child.finish(), self.nulls.finish())
    }
}

impl<O: OffsetSizeTrait> ColumnBuilder for ListBuilder<O> {
    fn append(&mut self, from: &dyn Array, selection: Selection<'_>) {
        let from = from.as_list::<O>();
        self.append_lists(from, from.value_offsets(), from.values(), selection);
    }

    fn finish(&mut self) -> ArrayRef {
        let (offsets, elements, nulls) = self.parts();
        let made = GenericListArray::<O>::try_new(Arc::clone(&self.field), offsets, elements, nulls);
        Arc::new(made.expect("lists of a column's elements are lists"))
    }
}

/// Builds a column of maps: lists of their entries.
struct MapBuilder {
    /// Part of the type: whether the keys of a map are said to be in order.
    sorted: bool,
    entries: ListBuilder<i32>,
}

impl ColumnBuilder for MapBuilder {
    fn append(&mut self, from: &dyn Array, selection: Selection<'_>) {
        let from = from.as_map();
        self.entries.append_lists(from, from.value_offsets(), from.entries(), selection);
    }

    fn finish(&mut self) -> ArrayRef {
        let (offsets, entries, nulls) = self.entries.parts();
        let made = MapArray::try_new(Arc::clone(&self.entries.field), offsets, entries.as_struct().clone(), nulls, self.sorted);
        Arc::new(made.expect("maps of a column's entries are maps"))
    }
}
