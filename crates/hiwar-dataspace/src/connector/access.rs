//! Where the data of a transfer are, and the tokens that open it.

use hiwar_trust::hash::Hash;

use super::{Connector, Moment, Refusal};
use crate::catalog::PUSH;
use crate::ledger::{Ledger, Transfer};
use crate::negotiation::Role;
use crate::transfer::TransferState;
use crate::wire::{DataAddress, EndpointProperty};

impl Connector {
    /// The address that a provider gives with the start of a pull, with a token of its own each time.
    pub(super) fn address_given(&self, transfer: &mut Transfer, moment: Moment) -> Option<DataAddress> {
        if transfer.process.role != Role::Provider || transfer.format == PUSH {
            return None;
        }
        let mut properties = self.new_token(transfer, moment);
        if let Some(life) = self.rules.token_life_ms {
            let refresh = moment.token("refresh");
            transfer.refresh = Some(hash_of_token(&refresh));
            properties.extend([
                property("refreshToken", &refresh),
                property(
                    "refreshEndpoint",
                    &format!("{}/data-token/{}", self.data_address, transfer.process.pid),
                ),
                property("refreshAudience", &self.participant),
                property("expiresIn", &(life / 1000).max(1).to_string()),
            ]);
        }
        Some(DataAddress {
            endpoint_type: HTTP.into(),
            endpoint: Some(format!("{}/data/{}", self.data_address, transfer.process.pid)),
            endpoint_properties: properties,
        })
    }

    /// Gives a transfer a new access token, and what a data address says of it.
    fn new_token(&self, transfer: &mut Transfer, moment: Moment) -> Vec<EndpointProperty> {
        let token = moment.token("access");
        transfer.token = Some(hash_of_token(&token));
        transfer.token_expires = self.rules.token_life_ms.map(|life| moment.now.plus_millis(life));
        vec![
            property("authorization", &token),
            property("authType", "bearer"),
            property("access_token", &token),
        ]
    }

    /// Where a consumer takes what is pushed to it.
    pub(super) fn inbox(&self, transfer: &mut Transfer, moment: Moment) -> DataAddress {
        let token = moment.token("access");
        transfer.token = Some(hash_of_token(&token));
        DataAddress {
            endpoint_type: HTTP.into(),
            endpoint: Some(format!("{}/data/inbox/{}", self.data_address, transfer.process.pid)),
            endpoint_properties: vec![property("authorization", &token), property("authType", "bearer")],
        }
    }

    /// A consumer shows its refresh token and gets a new access token; the old one is worth nothing then.
    ///
    /// # Errors
    /// When there is no such transfer of the caller that runs, or the refresh token is not its own.
    pub fn renew_token(
        &self,
        ledger: &mut impl Ledger,
        caller: &str,
        pid: &str,
        refresh: &str,
        moment: Moment,
    ) -> Result<Renewed, Refusal> {
        let mut transfer = self.transfer_for(ledger, caller, pid)?;
        let running = transfer.state == Some(TransferState::Started) && transfer.token.is_some();
        let own = transfer.refresh.as_deref() == Some(hash_of_token(refresh).as_str());
        if transfer.process.role != Role::Provider || !running || !own {
            let reason = "the refresh token is not that of a transfer of yours that runs";
            return Err(Refusal::bad("invalid-grant", reason).about(&transfer.process));
        }
        let token = moment.token("access");
        self.new_token(&mut transfer, moment);
        ledger.put_transfer(&transfer)?;
        Ok(Renewed { token, life_ms: self.rules.token_life_ms })
    }
}

/// A token in place of an old one.
#[derive(Clone, PartialEq, Eq)]
pub struct Renewed {
    /// The access token.
    pub token: String,
    /// How long it is taken, in milliseconds.
    pub life_ms: Option<i64>,
}

fn property(name: &str, value: &str) -> EndpointProperty {
    EndpointProperty { name: name.into(), value: value.into() }
}

/// The type of an address that is read over HTTP.
pub const HTTP: &str = "https://w3id.org/idsa/v4.1/HTTP";

/// What is kept of a token: SHA-256 in hexadecimal.
pub fn hash_of_token(token: &str) -> String {
    Hash::of(token.as_bytes()).as_bytes().iter().map(|b| format!("{b:02x}")).collect()
}
