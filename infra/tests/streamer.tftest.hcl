# Where the streamer runs, how large it is, and where it keeps what waits.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                  = "test"
  account_id            = "123456789012"
  aws_region            = "us-east-1"
  stream                = "posts"
  stream_arn            = "arn:aws:kinesis:us-east-1:123456789012:stream/posts"
  table                 = "windows"
  table_arn             = "arn:aws:dynamodb:us-east-1:123456789012:table/windows"
  quarantine_bucket     = "quarantine"
  quarantine_bucket_arn = "arn:aws:s3:::quarantine"
  sources               = "demo"
  secrets               = { BIRDSONG_AUTHOR_KEY = null }
  created_secrets       = ["BIRDSONG_AUTHOR_KEY", "X_BEARER_TOKEN"]
  reader                = "trigger"
  regions_toml          = "# none"
  window_secs           = 300
  image                 = "registry.example/birdsong:1"
  architecture          = "arm64"
  log_retention_days    = 30
  deletion_protection   = true
}

run "by_default" {
  module {
    source = "./modules/streamer"
  }
  assert {
    condition     = [for subnet in aws_subnet.this : subnet.availability_zone] == ["us-east-1a", "us-east-1b"]
    error_message = "two zones"
  }
  assert {
    condition = (
      one(data.aws_availability_zones.available.filter).name == "opt-in-status"
      && one(data.aws_availability_zones.available.filter).values == toset(["opt-in-not-required"])
      && data.aws_availability_zones.available.state == "available"
      && length(setsubtract(["apne1-az3", "usw1-az2"], data.aws_availability_zones.available.exclude_zone_ids)) == 0
    )
    error_message = "no Local Zone, and no zone without Fargate"
  }
  assert {
    condition = (
      aws_ecs_service.this[0].desired_count == 1 && one(aws_ecs_service.this[0].network_configuration).assign_public_ip
      && length(one(aws_ecs_service.this[0].network_configuration).subnets) > 0
    )
    error_message = "one task, with a public address"
  }
  assert {
    condition     = aws_ecs_task_definition.this[0].cpu == "256" && aws_ecs_task_definition.this[0].memory == "512" && length(aws_ecs_task_definition.this[0].ephemeral_storage) == 0
    error_message = "the smallest task"
  }
  assert {
    condition     = aws_ecs_task_definition.this[0].skip_destroy
    error_message = "ECS cannot go back to a definition that was deregistered"
  }
  assert {
    condition     = length(aws_efs_file_system.spool) == 0 && length(one(aws_ecs_task_definition.this[0].volume).efs_volume_configuration) == 0
    error_message = "the spool is on the task's own disk"
  }
  assert {
    condition     = keys(aws_secretsmanager_secret.this) == ["BIRDSONG_AUTHOR_KEY", "X_BEARER_TOKEN"] && output.secrets == tomap({ BIRDSONG_AUTHOR_KEY = "test/author-key" })
    error_message = "a secret of a former source stays, and the task does not get it"
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.execution.policy).Statement : length(s.Resource) if s.Sid == "ReadSecrets"] == [1]
    error_message = "the role reads no secret of a former source"
  }
  assert {
    condition     = length(aws_ssm_parameter.regions) == 1 && length(aws_s3_object.regions) == 0
    error_message = "small regions are in a parameter"
  }
}

run "stopped" {
  module {
    source = "./modules/streamer"
  }
  variables {
    running = false
  }
  assert {
    condition     = aws_ecs_service.this[0].desired_count == 0 && length(aws_ecs_task_definition.this) == 1
    error_message = "the service stays, and no task runs"
  }
}

run "zones_are_chosen" {
  state_key = "zones"
  module {
    source = "./modules/streamer"
  }
  variables {
    availability_zones = ["us-east-1c", "us-east-1a"]
  }
  assert {
    condition     = [for subnet in aws_subnet.this : subnet.availability_zone] == ["us-east-1c", "us-east-1a"]
    error_message = "the zones are the caller's"
  }
}

run "in_an_existing_network" {
  module {
    source = "./modules/streamer"
  }
  variables {
    vpc_id     = "vpc-0123456789abcdef0"
    subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    public_ip  = false
    spool      = "efs"
  }
  assert {
    condition = (
      length(aws_vpc.this) + length(aws_subnet.this) + length(aws_internet_gateway.this) + length(aws_route_table.this)
      + length(aws_route_table_association.this) + length(aws_default_security_group.this)
    ) == 0
    error_message = "nothing of the caller's network is changed"
  }
  assert {
    condition     = aws_security_group.this.vpc_id == var.vpc_id && aws_security_group.spool[0].vpc_id == var.vpc_id
    error_message = "the security groups are in the caller's network"
  }
  assert {
    condition = (
      one(aws_ecs_service.this[0].network_configuration).subnets == toset(var.subnet_ids)
      && one(aws_ecs_service.this[0].network_configuration).assign_public_ip == false
      && tolist([for target in aws_efs_mount_target.spool : target.subnet_id]) == var.subnet_ids
    )
    error_message = "task and spool are in the caller's subnets"
  }
}

run "a_spool_that_stays" {
  module {
    source = "./modules/streamer"
  }
  variables {
    spool   = "efs"
    disk_gb = 50
  }
  assert {
    condition     = aws_efs_file_system.spool[0].encrypted && length(aws_efs_mount_target.spool) == 2
    error_message = "the file system is encrypted, and reachable from both zones"
  }
  assert {
    condition = alltrue([
      for volume in one(aws_ecs_task_definition.this[0].volume).efs_volume_configuration :
      volume.file_system_id == "fs-1" && volume.transit_encryption == "ENABLED"
      && volume.authorization_config[0].access_point_id == "fsap-1" && volume.authorization_config[0].iam == "ENABLED"
    ]) && length(one(aws_ecs_task_definition.this[0].volume).efs_volume_configuration) == 1
    error_message = "the task mounts it encrypted, by its role and the access point"
  }
  assert {
    condition = (
      one(aws_efs_access_point.spool[0].posix_user).uid == 65532
      && one(one(aws_efs_access_point.spool[0].root_directory).creation_info).permissions == "0700"
      && jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].user == "65532:65532"
    )
    error_message = "the folder belongs to the streamer's user alone"
  }
  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.task.policy).Statement : [s.Action, s.Resource, s.Condition.StringEquals] if s.Sid == "MountSpool"] == [[
      ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
      aws_efs_file_system.spool[0].arn,
      { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.spool[0].arn },
    ]]
    error_message = "the streamer mounts its own folder, and is not root there"
  }
  assert {
    condition = (
      sort([for rule in aws_security_group.this.egress : "${rule.from_port}"]) == tolist(["2049", "443"])
      && aws_vpc_security_group_ingress_rule.spool[0].referenced_security_group_id == aws_security_group.this.id
      && aws_vpc_security_group_ingress_rule.spool[0].from_port == 2049 && aws_vpc_security_group_ingress_rule.spool[0].to_port == 2049
    )
    error_message = "the streamer alone reaches the file system"
  }
  assert {
    condition     = one(aws_ecs_task_definition.this[0].ephemeral_storage).size_in_gib == 50
    error_message = "the disk is as large as asked"
  }
}

run "many_regions_are_in_a_bucket" {
  module {
    source = "./modules/streamer"
  }
  variables {
    regions_toml = join("\n", [for n in range(1000) : "# region ${n}"])
  }
  assert {
    condition     = length(aws_ssm_parameter.regions) == 0 && aws_s3_object.regions[0].content == var.regions_toml
    error_message = "a parameter has 4 KB"
  }
  assert {
    condition = [
      for s in jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].environment : s.value if s.name == "BIRDSONG_REGIONS_TOML"
    ] == ["s3://${aws_s3_object.regions[0].bucket}/regions.toml"]
    error_message = "the task gets the address of the object"
  }
  assert {
    condition     = !contains([for s in jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].secrets : s.name], "BIRDSONG_REGIONS_TOML")
    error_message = "a variable has one value"
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.task.policy).Statement : [s.Action, s.Resource] if s.Sid == "ReadRegions"] == [[["s3:GetObject"], "arn:aws:s3:::bucket/regions.toml"]]
    error_message = "the task reads this object"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].dockerLabels.regions == sha256(var.regions_toml)
    error_message = "other regions start another task"
  }
}
