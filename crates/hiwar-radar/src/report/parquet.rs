//! Rows as Apache Parquet: typed columns, empty cells as nulls, notes as metadata of the file.
//!
//! | cells | column |
//! |---|---|
//! | text | `BYTE_ARRAY`, UTF-8 |
//! | number | `DOUBLE` |
//! | count | `INT64`, unsigned |
//! | flag | `BOOLEAN` |
//!
//! Pages are compressed with Snappy, which every reader of Parquet knows.

use std::io::Write;

use super::records::Records;

/// Why rows cannot be written as Parquet.
#[derive(Debug, thiserror::Error)]
pub enum ParquetError {
    /// The programme was built without the feature `parquet`.
    #[error("this build cannot write Parquet; ask for csv, or build with the feature `parquet`")]
    NotBuilt,
    /// The place written to failed, or the rows are more than the format can hold.
    #[error("Parquet cannot be written: {0}")]
    Failed(String),
}

impl Records {
    /// As the bytes of a Parquet file.
    ///
    /// # Errors
    /// [`ParquetError::NotBuilt`] in a build without the feature `parquet`.
    pub fn parquet(&self) -> Result<Vec<u8>, ParquetError> {
        let mut out = ParquetFile::new(Vec::new(), self)?;
        out.put(self)?;
        out.finish()
    }
}

#[cfg(not(feature = "parquet"))]
pub use without::ParquetFile;
#[cfg(feature = "parquet")]
pub use written::ParquetFile;

#[cfg(not(feature = "parquet"))]
mod without {
    use super::{ParquetError, Records, Write};

    /// A Parquet file in a build that has none.
    #[derive(Debug)]
    pub struct ParquetFile<W>(std::marker::PhantomData<W>);

    impl<W: Write + Send> ParquetFile<W> {
        /// Always refused.
        ///
        /// # Errors
        /// [`ParquetError::NotBuilt`].
        pub fn new(_: W, _: &Records) -> Result<Self, ParquetError> {
            Err(ParquetError::NotBuilt)
        }

        /// Never reached.
        ///
        /// # Errors
        /// [`ParquetError::NotBuilt`].
        pub fn put(&mut self, _: &Records) -> Result<(), ParquetError> {
            Err(ParquetError::NotBuilt)
        }

        /// Never reached.
        ///
        /// # Errors
        /// [`ParquetError::NotBuilt`].
        pub fn finish(self) -> Result<W, ParquetError> {
            Err(ParquetError::NotBuilt)
        }
    }
}

#[cfg(feature = "parquet")]
mod written {
    use std::sync::Arc;

    use ::parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
    use ::parquet::column::writer::ColumnWriter;
    use ::parquet::data_type::ByteArray;
    use ::parquet::errors::ParquetError as Fault;
    use ::parquet::file::metadata::KeyValue;
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::types::Type;

    use super::super::records::{Cells, Column};
    use super::{ParquetError, Records, Write};

    impl From<Fault> for ParquetError {
        fn from(fault: Fault) -> Self {
            Self::Failed(fault.to_string())
        }
    }

    /// A Parquet file that grows by a row group at a time, so that not all rows are held.
    pub struct ParquetFile<W: Write + Send> {
        out: SerializedFileWriter<W>,
    }

    impl<W: Write + Send> std::fmt::Debug for ParquetFile<W> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("ParquetFile").finish_non_exhaustive()
        }
    }

    impl<W: Write + Send> ParquetFile<W> {
        /// Begins a file for rows with the columns and the notes of `like`.
        ///
        /// # Errors
        /// [`ParquetError::Failed`].
        pub fn new(out: W, like: &Records) -> Result<Self, ParquetError> {
            let fields = like.columns().iter().map(|c| Ok(Arc::new(field(c)?)));
            let fields = fields.collect::<Result<Vec<_>, Fault>>()?;
            let schema = Type::group_type_builder("rows").with_fields(fields).build()?;
            let note = |(name, text): (&&str, &String)| KeyValue::new((*name).to_owned(), text.clone());
            let properties = WriterProperties::builder()
                .set_compression(Compression::SNAPPY)
                .set_created_by(format!("hiwar {}", env!("CARGO_PKG_VERSION")))
                .set_key_value_metadata(Some(like.notes().iter().map(note).collect()))
                .build();
            let out = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
            Ok(Self { out })
        }

        /// Writes rows as a row group; their columns are those of the file.
        ///
        /// # Errors
        /// [`ParquetError::Failed`].
        pub fn put(&mut self, records: &Records) -> Result<(), ParquetError> {
            if records.rows() == 0 {
                return Ok(());
            }
            let mut group = self.out.next_row_group()?;
            for column in records.columns() {
                let mut writer = group.next_column()?.ok_or_else(other_columns)?;
                write(writer.untyped(), &column.cells)?;
                writer.close()?;
            }
            group.close()?;
            Ok(())
        }

        /// Writes the end.
        ///
        /// # Errors
        /// [`ParquetError::Failed`].
        pub fn finish(self) -> Result<W, ParquetError> {
            Ok(self.out.into_inner()?)
        }
    }

    fn other_columns() -> ParquetError {
        ParquetError::Failed("rows with other columns than the file".to_owned())
    }

    fn field(column: &Column) -> Result<Type, Fault> {
        let (physical, logical) = match column.cells {
            Cells::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Cells::Number(_) => (Physical::DOUBLE, None),
            Cells::Count(_) => (Physical::INT64, Some(LogicalType::integer(64, false))),
            Cells::Flag(_) => (Physical::BOOLEAN, None),
        };
        Type::primitive_type_builder(column.name, physical)
            .with_logical_type(logical)
            .with_repetition(Repetition::OPTIONAL)
            .build()
    }

    fn write(writer: &mut ColumnWriter<'_>, cells: &Cells) -> Result<(), ParquetError> {
        match (writer, cells) {
            (ColumnWriter::ByteArrayColumnWriter(writer), Cells::Text(cells)) => {
                let (values, levels) = split(cells, |text| ByteArray::from(text.as_str()));
                writer.write_batch(&values, Some(&levels), None)?;
            }
            (ColumnWriter::DoubleColumnWriter(writer), Cells::Number(cells)) => {
                let (values, levels) = split(cells, |number| *number);
                writer.write_batch(&values, Some(&levels), None)?;
            }
            (ColumnWriter::Int64ColumnWriter(writer), Cells::Count(cells)) => {
                let (values, levels) = split(cells, |count| count.cast_signed());
                writer.write_batch(&values, Some(&levels), None)?;
            }
            (ColumnWriter::BoolColumnWriter(writer), Cells::Flag(cells)) => {
                let (values, levels) = split(cells, |flag| *flag);
                writer.write_batch(&values, Some(&levels), None)?;
            }
            _ => return Err(other_columns()),
        }
        Ok(())
    }

    /// The cells that are there, and for each cell whether it is (1) or not (0).
    fn split<T, V>(cells: &[Option<T>], value: impl Fn(&T) -> V) -> (Vec<V>, Vec<i16>) {
        let values = cells.iter().flatten().map(value).collect();
        (values, cells.iter().map(|cell| i16::from(cell.is_some())).collect())
    }
}
