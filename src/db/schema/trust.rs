//! The tables of trusted issuers.

diesel::table! {
    trusted_issuers (id) {
        id -> Text,
        organisation_id -> Text,
        name -> Text,
        issuer -> Text,
        app_id -> Nullable<Text>,
        policy -> Text,
        disabled_at -> Nullable<BigInt>,
        not_before -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        accept_directly -> BigInt,
    }
}

diesel::table! {
    trusted_issuer_audiences (trusted_issuer_id, audience) {
        trusted_issuer_id -> Text,
        audience -> Text,
    }
}

diesel::table! {
    trusted_issuer_scopes (trusted_issuer_id, scope) {
        trusted_issuer_id -> Text,
        api_id -> Text,
        scope -> Text,
    }
}

diesel::table! {
    trusted_issuer_uses (trusted_issuer_id, hour, outcome) {
        trusted_issuer_id -> Text,
        hour -> BigInt,
        outcome -> Text,
        count -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(trusted_issuers, trusted_issuer_audiences);
