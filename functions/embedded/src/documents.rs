//! Documents in the file of the window store.

use birdsong_domain::ports::{
    Document, DocumentKey, DocumentKind, DocumentStore, PortError, PutOutcome, check_document,
};

use crate::store::SqliteStore;

impl DocumentStore for SqliteStore {
    async fn documents(
        &self,
        kind: DocumentKind,
        region: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<Document>, PortError> {
        const SQL: &str = "SELECT start, revision, body FROM document
            WHERE kind = ?1 AND region = ?2 AND start >= ?3 AND start < ?4 ORDER BY start";
        let region = region.to_owned();
        self.db
            .read(move |connection| {
                let mut statement = connection.prepare_cached(SQL)?;
                let rows = statement.query_map((kind.as_str(), &region, from_ms, to_ms), |row| {
                    Ok(Document { start_ms: row.get(0)?, revision: row.get::<_, u32>(1)?.into(), body: row.get(2)? })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    async fn put_document(
        &self,
        key: &DocumentKey,
        body: Option<&[u8]>,
        expected: Option<u64>,
    ) -> Result<PutOutcome, PortError> {
        const INSERT: &str = "INSERT INTO document VALUES (?1, ?2, ?3, 1, ?4) ON CONFLICT DO NOTHING";
        const UPDATE: &str = "UPDATE document SET revision = revision + 1, body = ?4
            WHERE kind = ?1 AND region = ?2 AND start = ?3 AND revision = ?5";
        const DELETE: &str = "DELETE FROM document WHERE kind = ?1 AND region = ?2 AND start = ?3 AND revision = ?4";
        let (kind, region, start) = (key.kind.as_str(), key.region.clone(), key.start_ms);
        // Revisions are counted up by one and never get near the end of the type.
        let revision = expected.map(|revision| i64::try_from(revision).unwrap_or(i64::MAX));
        let rows = match (body, revision) {
            (Some(body), revision) => {
                check_document(key, body)?;
                let body = body.to_vec();
                match revision {
                    None => self.execute(INSERT, (kind, region, start, body)).await?,
                    Some(revision) => self.execute(UPDATE, (kind, region, start, body, revision)).await?,
                }
            }
            (None, Some(revision)) => self.execute(DELETE, (kind, region, start, revision)).await?,
            (None, None) => return Ok(PutOutcome::Stored),
        };
        Ok(if rows == 1 { PutOutcome::Stored } else { PutOutcome::Conflict })
    }
}
