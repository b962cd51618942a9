"""The certificates that vouch for databases at Amazon."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from decant.db.drivers import AMAZON_CA

CERTIFICATES = x509.load_pem_x509_certificates(AMAZON_CA.read_bytes())


@pytest.mark.parametrize("certificate", CERTIFICATES, ids=lambda each: each.subject.rfc4514_string())
def test_certificate_is_a_root_that_is_good_for_years(certificate: x509.Certificate) -> None:
    """Each vouches for itself, and none runs out while this version is in use."""
    certificate.verify_directly_issued_by(certificate)

    assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=5 * 365)


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "ap-southeast-2"])
def test_certificates_are_there_for_databases_and_proxies(region: str) -> None:
    """Databases have roots of their region, proxies the ones of Amazon's public certificates."""
    names = {each.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value for each in CERTIFICATES}

    assert f"Amazon RDS {region} Root CA RSA2048 G1" in names
    assert "Amazon Root CA 1" in names
