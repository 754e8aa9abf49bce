//! Documents that several writers change: read, changed, and put on condition that nobody else was faster.

use birdsong_domain::ports::{DocumentKey, DocumentStore, PortError, PutOutcome};

/// What becomes of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays as it is.
    Keep,
    /// It gets this body.
    Put(Vec<u8>),
    /// It is deleted.
    Remove,
}

/// Changes a document `with` a function of its body, which is called again each time that another writer was faster, at
/// most `times` times. Returns whether it was changed; `None` when others were faster each time.
///
/// # Errors
/// When the store fails, or `with` does.
pub async fn change<S: DocumentStore, E: From<PortError>>(
    store: &S,
    key: &DocumentKey,
    times: usize,
    mut with: impl FnMut(Option<&[u8]>) -> Result<Change, E>,
) -> Result<Option<bool>, E> {
    for _ in 0..times {
        let found = store.documents(key.kind, &key.region, key.start_ms, key.start_ms.saturating_add(1)).await?;
        let stored = found.into_iter().next();
        let body = match with(stored.as_ref().map(|document| &*document.body))? {
            Change::Keep => return Ok(Some(false)),
            Change::Put(body) => Some(body),
            Change::Remove => None,
        };
        let revision = stored.map(|document| document.revision);
        if store.put_document(key, body.as_deref(), revision).await? == PutOutcome::Stored {
            return Ok(Some(true));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use birdsong_domain::ports::DocumentKind;
    use birdsong_testkit::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn a_document_is_put_kept_and_removed() {
        let store = MemoryStore::default();
        let key = DocumentKey { kind: DocumentKind::Notes, region: "a".into(), start_ms: 0 };
        for (to, was) in [(Change::Keep, None), (Change::Put(vec![1]), None), (Change::Remove, Some(vec![1]))] {
            let is_changed = to != Change::Keep;
            let with = |body: Option<&[u8]>| {
                assert_eq!(body, was.as_deref());
                Ok::<_, PortError>(to.clone())
            };
            assert_eq!(change(&store, &key, 1, with).await.unwrap(), Some(is_changed));
        }
        assert!(store.documents(key.kind, "a", 0, 1).await.unwrap().is_empty());
        let nothing = |_: Option<&[u8]>| Ok::<_, PortError>(Change::Keep);
        assert_eq!(change(&store, &key, 0, nothing).await.unwrap(), None);
    }
}
