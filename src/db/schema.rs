//! The tables, in types that SQLite and PostgreSQL both have: ids and JSON as text, times as seconds in a big integer.

mod trust;

pub(super) use self::trust::{trusted_issuer_audiences, trusted_issuer_scopes, trusted_issuer_uses, trusted_issuers};

diesel::table! {
    meta (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    organisations (id) {
        id -> Text,
        slug -> Text,
        name -> Text,
        disabled_at -> Nullable<BigInt>,
        not_before -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    developers (id) {
        id -> Text,
        email -> Text,
        password_hash -> Text,
        disabled_at -> Nullable<BigInt>,
        created_at -> BigInt,
        name -> Text,
        is_operator -> BigInt,
        email_verified_at -> Nullable<BigInt>,
        sealed_totp -> Nullable<Binary>,
        totp_confirmed_at -> Nullable<BigInt>,
        totp_last_step -> BigInt,
        totp_begun_at -> Nullable<BigInt>,
        totp_begun_in -> Nullable<Text>,
    }
}

diesel::table! {
    recovery_codes (developer_id, hash) {
        developer_id -> Text,
        hash -> Text,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    passkeys (id) {
        id -> Text,
        developer_id -> Text,
        credential_id -> Text,
        credential -> Text,
        name -> Text,
        created_at -> BigInt,
        last_used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    sign_in_networks (developer_id, network) {
        developer_id -> Text,
        network -> Text,
        last_used_at -> BigInt,
    }
}

diesel::table! {
    identities (provider, subject) {
        provider -> Text,
        subject -> Text,
        developer_id -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    sessions (id) {
        id -> Text,
        hash -> Text,
        developer_id -> Text,
        organisation_id -> Nullable<Text>,
        awaits_second_factor -> BigInt,
        created_at -> BigInt,
        seen_at -> BigInt,
        confirmed_at -> BigInt,
        expires_at -> BigInt,
        address -> Text,
        user_agent -> Text,
    }
}

diesel::table! {
    kept_forms (id) {
        id -> Text,
        owner -> Text,
        sealed -> Binary,
        expires_at -> BigInt,
    }
}

diesel::table! {
    links (id) {
        id -> Text,
        hash -> Text,
        purpose -> Text,
        developer_id -> Nullable<Text>,
        organisation_id -> Nullable<Text>,
        email -> Nullable<Text>,
        role -> Nullable<Text>,
        is_mailed -> BigInt,
        organisation_name -> Nullable<Text>,
        password_hash -> Nullable<Text>,
        created_at -> BigInt,
        created_by -> Text,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    memberships (organisation_id, developer_id) {
        organisation_id -> Text,
        developer_id -> Text,
        role -> Text,
        login -> Nullable<Text>,
        created_at -> BigInt,
        login_since -> BigInt,
    }
}

diesel::table! {
    apis (id) {
        id -> Text,
        organisation_id -> Nullable<Text>,
        name -> Text,
        identifier -> Text,
        profile -> Text,
        algorithm -> Text,
        lifetime -> Nullable<BigInt>,
        created_at -> BigInt,
    }
}

diesel::table! {
    api_scopes (api_id, name) {
        api_id -> Text,
        organisation_id -> Nullable<Text>,
        name -> Text,
        description -> Text,
        position -> BigInt,
        sensitive -> BigInt,
    }
}

diesel::table! {
    apps (id) {
        id -> Text,
        organisation_id -> Text,
        name -> Text,
        lifetime -> Nullable<BigInt>,
        claims -> Nullable<Text>,
        disabled_at -> Nullable<BigInt>,
        not_before -> BigInt,
        created_at -> BigInt,
        auth_method -> Text,
        jwks -> Nullable<Text>,
        jwks_uri -> Nullable<Text>,
        dpop_required -> BigInt,
        description -> Text,
        allowed_networks -> Text,
        owner_id -> Nullable<Text>,
        token_exchange -> BigInt,
    }
}

diesel::table! {
    deleted_apps (id) {
        id -> Text,
        deleted_at -> BigInt,
    }
}

diesel::table! {
    app_scopes (app_id, scope) {
        app_id -> Text,
        api_id -> Text,
        scope -> Text,
    }
}

diesel::table! {
    app_keys (id) {
        id -> Text,
        app_id -> Text,
        hash -> Text,
        hint -> Text,
        created_at -> BigInt,
        created_by -> Text,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        algorithm -> Text,
        sealed_private_key -> Binary,
        created_at -> BigInt,
        signs_from -> BigInt,
        token_lifetime -> BigInt,
    }
}

diesel::table! {
    revocations (jti) {
        jti -> Text,
        app_id -> Text,
        revoked_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    used_jti (issuer, purpose, jti) {
        issuer -> Text,
        purpose -> Text,
        jti -> Text,
        forget_at -> BigInt,
    }
}

diesel::table! {
    audit (id) {
        id -> Text,
        at -> BigInt,
        organisation_id -> Nullable<Text>,
        actor -> Text,
        action -> Text,
        target -> Text,
        detail -> Text,
        address -> Nullable<Text>,
    }
}

diesel::table! {
    idempotency (app_id, key_hash) {
        app_id -> Text,
        key_hash -> Text,
        request_hash -> Text,
        sealed_answer -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    usage (app_id, hour) {
        app_id -> Text,
        hour -> BigInt,
        issued -> BigInt,
        refused -> BigInt,
    }
}

diesel::table! {
    usage_refusals (app_id, hour, error) {
        app_id -> Text,
        hour -> BigInt,
        error -> Text,
        refused -> BigInt,
    }
}

diesel::table! {
    usage_addresses (day, app_id, address) {
        day -> BigInt,
        app_id -> Text,
        address -> Text,
        issued -> BigInt,
    }
}

diesel::table! {
    usage_scopes (app_id, hour, scope) {
        app_id -> Text,
        hour -> BigInt,
        scope -> Text,
        issued -> BigInt,
    }
}

diesel::table! {
    app_key_uses (app_id, app_key_id) {
        app_id -> Text,
        app_key_id -> Text,
        used_at -> BigInt,
        used_from -> Text,
    }
}

diesel::table! {
    changes (seq) {
        seq -> BigInt,
        kind -> Text,
        id -> Text,
        at -> BigInt,
    }
}

diesel::table! {
    registration_tokens (id) {
        id -> Text,
        organisation_id -> Text,
        hash -> Text,
        hint -> Text,
        lifetime -> Nullable<BigInt>,
        uses_left -> BigInt,
        expires_at -> BigInt,
        created_at -> BigInt,
        created_by -> Text,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    registration_token_scopes (token_id, scope) {
        token_id -> Text,
        api_id -> Text,
        scope -> Text,
    }
}

diesel::table! {
    registered_clients (app_id) {
        app_id -> Text,
        hash -> Text,
        auth_method -> Text,
    }
}

diesel::table! {
    registered_client_scopes (app_id, scope) {
        app_id -> Text,
        api_id -> Text,
        scope -> Text,
    }
}

diesel::joinable!(app_scopes -> apps (app_id));
diesel::joinable!(memberships -> organisations (organisation_id));
diesel::joinable!(memberships -> developers (developer_id));
diesel::allow_tables_to_appear_in_same_query!(
    apis,
    api_scopes,
    apps,
    app_scopes,
    app_keys,
    app_key_uses,
    organisations,
    developers,
    memberships,
    sessions,
    usage,
    usage_refusals,
    usage_addresses,
    usage_scopes
);
