output "repository_url" {
  description = "Address of the image repository."
  value       = aws_ecr_repository.this.repository_url
}

output "cluster" {
  description = "Name of the cluster; its service is `streamer`."
  value       = aws_ecs_cluster.this.name
}

output "author_key_secret" {
  description = "Name of the secret for the key of author hashes."
  value       = aws_secretsmanager_secret.author_key.name
}

output "x_token_secret" {
  description = "Name of the secret for X's bearer token; null for other sources."
  value       = one(aws_secretsmanager_secret.x_token[*].name)
}

output "mastodon_token_secret" {
  description = "Name of the secret for Mastodon's token; null where none is needed."
  value       = one(aws_secretsmanager_secret.mastodon_token[*].name)
}
