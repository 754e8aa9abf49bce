//! Rows as a Parquet file, with the columns of the CSV file and their types.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use birdsong_api::{CellType, Column};
use birdsong_domain::time::parse_rfc3339;
use parquet::basic::{Compression, GzipLevel, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::Value;

/// Rows of a row group: what is held in memory.
const GROUP: usize = 20_000;

/// A Parquet file that is written.
pub(super) struct ParquetFile<W: Write + Send> {
    columns: Vec<(Column, Cells)>,
    /// Rows in the row group that is not written yet.
    rows: usize,
    writer: SerializedFileWriter<W>,
}

/// The cells of a column in a row group, nulls left out, and for each row whether there is one (1) or not (0).
struct Cells {
    values: Values,
    levels: Vec<i16>,
}

enum Values {
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    Booleans(Vec<bool>),
    Texts(Vec<ByteArray>),
}

impl<W: Write + Send> ParquetFile<W> {
    /// A file with these columns.
    pub(super) fn new(out: W, columns: Vec<Column>) -> Result<Self> {
        let fields = columns.iter().map(|column| field(column).map(Arc::new)).collect::<Result<Vec<_>>>()?;
        let schema = Type::group_type_builder("rows").with_fields(fields).build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::GZIP(GzipLevel::default()))
            .set_created_by(concat!("birdsong ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        let columns = columns.into_iter().map(|column| {
            let cells = Cells { values: Values::new(column.cells), levels: vec![] };
            (column, cells)
        });
        Ok(Self { columns: columns.collect(), rows: 0, writer })
    }

    /// Adds a row: a line of NDJSON.
    pub(super) fn add(&mut self, line: &[u8]) -> Result<()> {
        let row: Value = serde_json::from_slice(line)?;
        for (column, cells) in &mut self.columns {
            let value = column.of(&row);
            if !value.is_null() {
                let pushed = cells.values.push(column.cells, value);
                pushed.with_context(|| format!("{value} is unexpected in the column {}", column.name()))?;
            }
            cells.levels.push(i16::from(!value.is_null()));
        }
        self.rows += 1;
        if self.rows == GROUP { self.write_group() } else { Ok(()) }
    }

    /// Writes what is left, and the index at the end of the file.
    pub(super) fn finish(mut self) -> Result<()> {
        self.write_group()?;
        self.writer.finish()?;
        self.writer.inner_mut().flush()?;
        Ok(())
    }

    fn write_group(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for (_, cells) in &mut self.columns {
            let mut column = group.next_column()?.ok_or_else(|| anyhow!("the file has fewer columns than the rows"))?;
            let levels = Some(&cells.levels[..]);
            match &mut cells.values {
                Values::Integers(values) => {
                    column.typed::<Int64Type>().write_batch(values, levels, None)?;
                    values.clear();
                }
                Values::Numbers(values) => {
                    column.typed::<DoubleType>().write_batch(values, levels, None)?;
                    values.clear();
                }
                Values::Booleans(values) => {
                    column.typed::<BoolType>().write_batch(values, levels, None)?;
                    values.clear();
                }
                Values::Texts(values) => {
                    column.typed::<ByteArrayType>().write_batch(values, levels, None)?;
                    values.clear();
                }
            }
            cells.levels.clear();
            column.close()?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

impl Values {
    fn new(cells: CellType) -> Self {
        match cells {
            CellType::Integer | CellType::Time => Self::Integers(vec![]),
            CellType::Number => Self::Numbers(vec![]),
            CellType::Boolean => Self::Booleans(vec![]),
            CellType::Text | CellType::Json => Self::Texts(vec![]),
        }
    }

    /// Adds a cell; `None` when it is of another type.
    fn push(&mut self, cells: CellType, value: &Value) -> Option<()> {
        match self {
            Self::Integers(values) if cells == CellType::Time => values.push(parse_rfc3339(value.as_str()?)?),
            Self::Integers(values) => values.push(value.as_i64()?),
            Self::Numbers(values) => values.push(value.as_f64()?),
            Self::Booleans(values) => values.push(value.as_bool()?),
            Self::Texts(values) if cells == CellType::Text => values.push(value.as_str()?.into()),
            Self::Texts(values) => values.push(value.to_string().into_bytes().into()),
        }
        Some(())
    }
}

/// The type of a column. Lists are JSON in text.
fn field(column: &Column) -> Result<Type> {
    let (physical, logical) = match column.cells {
        CellType::Integer => (Physical::INT64, None),
        CellType::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
        CellType::Number => (Physical::DOUBLE, None),
        CellType::Boolean => (Physical::BOOLEAN, None),
        CellType::Text | CellType::Json => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let name = column.name();
    let builder = Type::primitive_type_builder(&name, physical).with_repetition(Repetition::OPTIONAL);
    Ok(builder.with_logical_type(logical).build()?)
}
