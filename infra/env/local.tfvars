# LocalStack 4.14, which has no ECS, ECR, CloudFront, budgets or caps of tables. Functions run on this machine.
aws_endpoint        = "http://127.0.0.1:4566"
architecture        = "x86_64"
sources             = "demo"
enable_streamer     = false
enable_cdn          = false
enable_budget       = false
deletion_protection = false
log_retention_days  = 1

# The provider finds a change of each function at each apply, and would publish it.
publish_versions = false

table_max_read_request_units  = null
table_max_write_request_units = null

# No emulator writes access logs.
api_access_logs = false
