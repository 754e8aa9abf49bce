# MiniStack, which has every service but runs no tasks. Functions run on this machine. Its CloudFront applies the
# bucket's rule against plain HTTP to its own reads and cannot reach its own REST API: use api_url, which therefore
# requires no key, and read the site's files from the bucket.
aws_endpoint        = "http://127.0.0.1:4599"
architecture        = "x86_64"
sources             = "demo"
api_requires_key    = false
deletion_protection = false
log_retention_days  = 1

# No emulator writes access logs.
api_access_logs = false
