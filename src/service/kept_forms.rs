//! Forms on hold: what a person entered is not lost while the person signs in again, here or elsewhere. Nobody else gets it,
//! and whoever reads the database alone cannot read it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Authority, Management, ServiceError};
use crate::db::kept_forms;
use crate::secret::{KeyedHash, Secret, random_id};

/// How long a form is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(3_600);
/// Forms of one person; the oldest go first.
const MOST_OF_ONE: i64 = 10;

/// A form: where it goes, and its fields without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptForm {
    /// Path and query below the issuer's path.
    pub action: String,
    /// Names and values, in their order.
    pub fields: Vec<(String, String)>,
}

impl Authority {
    /// Stands for a person in forms: the same in each of them, and nobody else can make it.
    pub fn form_owner(&self, developer_id: Uuid) -> KeyedHash {
        self.pepper.hash(&Secret::new(format!("owner of forms {developer_id}")))
    }

    /// Keeps a form of that owner. Returns by what it is found again.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn keep_form(&self, owner: KeyedHash, form: &KeptForm) -> Result<String, ServiceError> {
        let (m, id) = (self.management.clone(), random_id()?);
        let plain = serde_json::to_vec(form).map_err(|error| ServiceError::Internal(error.to_string()))?;
        let sealed = m.master_key.seal_ceremony(&sealed_name(owner, &id), &plain)?;
        let (kept, expires_at) = (id.clone(), m.now() + KEPT_FOR);
        let keep = move |m: &Management| {
            m.database.write(move |conn| kept_forms::insert(conn, &kept, owner, &sealed, expires_at, MOST_OF_ONE))
        };
        self.change(m, move |m| Ok(keep(m)?)).await?;
        Ok(id)
    }

    /// The form that was kept for that owner.
    ///
    /// # Errors
    /// `NotFound` if there is none, or none any more.
    pub async fn kept_form(&self, owner: KeyedHash, id: &str) -> Result<KeptForm, ServiceError> {
        let (m, id) = (self.management.clone(), id.to_owned());
        self.look(m, move |m| {
            let gone = || ServiceError::NotFound("no such form is kept".to_owned());
            let now = m.now();
            let sealed = m.database.read(|conn| kept_forms::find(conn, &id, owner, now))?.ok_or_else(gone)?;
            let plain = m.master_key.open_ceremony(&sealed_name(owner, &id), &sealed)?;
            serde_json::from_slice(&plain).map_err(|error| ServiceError::Internal(error.to_string()))
        })
        .await
    }
}

fn sealed_name(owner: KeyedHash, id: &str) -> String {
    format!("Form {} {id}", owner.to_text())
}
