//! Who asks, without a key of Bedrock's own: a signature (AWS, "Signature Version 4") with the credentials that the
//! process finds where AWS's tools do: in the environment, as the identity of a web token, a container or a machine.
//! Left out: the profiles below `~/.aws`, single sign-on, and roles beside a web token's.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::{BackoffConfig, RetryConfig};
use praxis_core::ModelError;
use reqwest::header::AUTHORIZATION;
use reqwest::{Body, Request, Url};

use crate::wire::{Endpoint, failure};

/// The name of Bedrock in signatures.
const SERVICE: &str = "bedrock";

/// The header of a session's token.
const TOKEN: &str = "x-amz-security-token";

/// Where credentials come from, by region. They are fetched anew before they expire; there are as many as there are
/// regions in the configuration.
static SOURCES: LazyLock<Mutex<BTreeMap<String, AwsCredentialProvider>>> =
    LazyLock::new(Mutex::default);

/// Signs a request with the credentials of the process.
pub(super) async fn authorize(to: &Endpoint, request: &mut Request) -> Result<(), ModelError> {
    let Some(region) = to.region.as_deref() else {
        return Err(ModelError::Unauthorized(format!(
            "`{}`: requests are signed for a region; give `region`, or set AWS_REGION",
            to.name
        )));
    };
    let source = source(region).map_err(|e| absent(&to.name, &e))?;
    let credential = source.get_credential().await;
    let credential = credential.map_err(|e| absent(&to.name, &e))?;
    sign(&to.name, &credential, region, request)
}

fn absent(name: &str, error: &object_store::Error) -> ModelError {
    ModelError::Unauthorized(format!(
        "`{name}`: there are no credentials of AWS ({}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give a \
         key of Bedrock as `api_key`",
        failure::cause(error)
    ))
}

/// Where credentials for a region come from.
fn source(region: &str) -> object_store::Result<AwsCredentialProvider> {
    let mut sources = SOURCES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(source) = sources.get(region) {
        return Ok(Arc::clone(source));
    }
    // Whoever comes first installs it; an error means that someone did.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A machine without an identity is told from one with it by silence.
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 2,
        retry_timeout: Duration::from_secs(10),
    };
    // No bucket is asked for anything.
    let store = AmazonS3Builder::from_env()
        .with_s3_express(false)
        .with_bucket_name("unused")
        .with_region(region)
        .with_retry(retry)
        .build()?;
    let source = Arc::clone(store.credentials());
    sources.insert(region.to_owned(), Arc::clone(&source));
    Ok(source)
}

/// Signs a request. The path is encoded once more in what is signed, as all services but S3 have it.
///
/// # Errors
/// [`ModelError::Unauthorized`] for what no signature can carry: the signer takes all for well-formed.
fn sign(
    name: &str,
    credential: &AwsCredential,
    region: &str,
    request: &mut Request,
) -> Result<(), ModelError> {
    let refused = |what: &str| Err(ModelError::Unauthorized(format!("`{name}`: {what}")));
    let token = credential.token.as_deref().unwrap_or_default();
    let plain = |text: &&str| text.bytes().all(|b| b.is_ascii_graphic());
    if ![credential.key_id.as_str(), region, token]
        .iter()
        .all(plain)
    {
        return refused("the credentials of AWS have characters that no header can carry");
    }
    let mut values = request.headers().values();
    if !values.all(|value| std::str::from_utf8(value.as_bytes()).is_ok()) {
        return refused("a header has characters that cannot be signed");
    }
    let Ok(uri) = request.url().as_str().parse::<http::Uri>() else {
        return refused("its address cannot be signed");
    };
    if Url::parse(&uri.to_string()).is_err() {
        return refused("its address cannot be signed");
    }
    let body = request.body().and_then(Body::as_bytes).unwrap_or_default();
    let mut signed = HttpRequest::new(HttpRequestBody::from(body.to_vec()));
    *signed.method_mut() = request.method().clone();
    *signed.uri_mut() = uri;
    *signed.headers_mut() = request.headers().clone();
    let signer = AwsAuthorizer::new(credential, SERVICE, region);
    if signer.try_authorize(&mut signed, None).is_err() {
        return refused("the request could not be signed");
    }
    let headers = request.headers_mut();
    *headers = std::mem::take(signed.headers_mut());
    for name in [AUTHORIZATION.as_str(), TOKEN] {
        if let Some(value) = headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
    use sha2::{Digest, Sha256};

    use super::*;

    const HOST: &str = "bedrock-runtime.us-east-1.amazonaws.com";
    const PATH: &str = "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse-stream";
    const BODY: &str = r#"{"messages":[]}"#;
    /// Amazon's own example.
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn credential(token: Option<&str>) -> AwsCredential {
        AwsCredential {
            key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: SECRET.to_owned(),
            token: token.map(str::to_owned),
        }
    }

    fn request() -> Request {
        let url = Url::parse(&format!("https://{HOST}{PATH}")).unwrap();
        let mut request = Request::new(Method::POST, url);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        *request.body_mut() = Some(BODY.into());
        request
    }

    fn sha256(data: &[u8]) -> [u8; 32] {
        Sha256::digest(data).into()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// RFC 2104, for keys that are no longer than a block.
    fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
        let pad = |with: u8| -> Vec<u8> {
            let padded = key.iter().copied().chain(std::iter::repeat(0));
            padded.take(64).map(|b| b ^ with).collect()
        };
        let inner = sha256(&[pad(0x36).as_slice(), message].concat());
        sha256(&[pad(0x5c).as_slice(), &inner].concat())
    }

    /// The signature as its description has it (AWS, "Create a signed AWS API request").
    fn signature(date: &str, token: Option<&str>) -> String {
        let digest = hex(&sha256(BODY.as_bytes()));
        let mut headers = format!(
            "content-type:application/json\nhost:{HOST}\nx-amz-content-sha256:{digest}\nx-amz-date:{date}\n"
        );
        let mut names = "content-type;host;x-amz-content-sha256;x-amz-date".to_owned();
        if let Some(token) = token {
            headers.push_str(&format!("{TOKEN}:{token}\n"));
            names.push_str(&format!(";{TOKEN}"));
        }
        let path = PATH.replace('%', "%25");
        let canonical = format!("POST\n{path}\n\n{headers}\n{names}\n{digest}");
        let day = &date[..8];
        let scope = format!("{day}/us-east-1/bedrock/aws4_request");
        let hash = hex(&sha256(canonical.as_bytes()));
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
        let mut key = hmac(format!("AWS4{SECRET}").as_bytes(), day.as_bytes());
        for part in ["us-east-1", "bedrock", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let signature = hex(&hmac(&key, to_sign.as_bytes()));
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/{scope}, SignedHeaders={names}, Signature={signature}"
        )
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
        headers.get(name).unwrap().to_str().unwrap()
    }

    #[test]
    fn a_request_is_signed_as_amazon_describes_it() {
        // That the description was followed well: these two are of botocore 1.43.
        for (token, expected) in [
            (
                None,
                "29cae3e0453e62f35909cb445cacdeacc1fca7753e77a1f4f865255d99e15e52",
            ),
            (
                Some("token/example=="),
                "71675d57c3d819eeff783d67acbde2b3c41dcd325f0610e3ab8ebf837d5261f2",
            ),
        ] {
            let known = signature("20261127T120000Z", token);
            assert!(known.ends_with(&format!("Signature={expected}")), "{known}");

            let mut request = request();
            sign("m", &credential(token), "us-east-1", &mut request).unwrap();
            let headers = request.headers();
            let date = text(headers, "x-amz-date");
            assert_eq!(text(headers, "authorization"), signature(date, token));
            assert_eq!(headers.get(TOKEN).and_then(|t| t.to_str().ok()), token);
            assert_eq!(request.url().path(), PATH);
            assert_eq!(
                request.body().and_then(Body::as_bytes),
                Some(BODY.as_bytes())
            );
            assert!(
                !format!("{headers:?}").contains("Signature="),
                "it is shown"
            );
        }
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let refused = |credential: &AwsCredential, region: &str, mut request: Request| {
            let error = sign("m", credential, region, &mut request).unwrap_err();
            assert_eq!(error.code().as_str(), "upstream_unauthorized");
            assert!(!request.headers().contains_key(AUTHORIZATION));
        };
        let good = credential(None);
        let mut key = credential(None);
        key.key_id = "AKIA\nX".to_owned();
        refused(&key, "us-east-1", request());
        refused(&credential(Some("tökén")), "us-east-1", request());
        refused(&good, "us east", request());
        let mut odd = request();
        let value = HeaderValue::from_bytes(b"\xff").unwrap();
        odd.headers_mut().insert("x-odd", value);
        refused(&good, "us-east-1", odd);
    }
}
