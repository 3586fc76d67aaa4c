{{- define "scopegate.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "scopegate.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "scopegate.labels" -}}
{{ include "scopegate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* Whether the keys stand in a key file of a Secret: not where `config` names a store of its own, a database for instance. */ -}}
{{- define "scopegate.keyfile" -}}
{{- $store := dig "keys" "store" "" .Values.config -}}
{{- if or (not $store) (hasPrefix "file:../keys/" $store) }}true{{ end -}}
{{- end }}

{{- /* What the chart itself writes into scopegate.yaml. Paths are relative to the file. */ -}}
{{- define "scopegate.config" -}}
listen: 0.0.0.0:8080
workers: {{ .Values.workers }}
upstream:
{{- if .Values.upstream.urls }}
  urls: {{- toYaml .Values.upstream.urls | nindent 4 }}
{{- else if not (dig "upstream" "urls" "" .Values.config) }}
  url: {{ .Values.upstream.url | default (printf "http://127.0.0.1:%v" .Values.app.port) }}
{{- end }}
{{- with .Values.upstream.credential }}
{{- if .secret }}
  credential:
    header: {{ .header }}
    value: {{ printf "%s${file:../credential/%s}" .prefix .key | quote }}
{{- end }}
{{- end }}
policy: ../policy/policy.yaml
keys:
  store: file:../keys/keys.yaml
metrics:
  listen: 0.0.0.0:9902
limits:
  connections: {{ .Values.connections }}
drain:
  delay: {{ .Values.drain.delay }}s
  timeout: {{ .Values.drain.timeout }}s
{{- end }}

{{- define "scopegate.container" -}}
name: scopegate
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve, -c, /etc/scopegate/config/scopegate.yaml]
ports:
  - { name: http, containerPort: 8080 }
  - { name: metrics, containerPort: 9902 }
startupProbe:
  httpGet: { path: /livez, port: metrics }
  periodSeconds: 1
  failureThreshold: 30
readinessProbe:
  exec: { command: [/usr/local/bin/scopegate, healthcheck, --admin, "127.0.0.1:9901"] }
  periodSeconds: 5
  timeoutSeconds: 2
livenessProbe:
  httpGet: { path: /livez, port: metrics }
  periodSeconds: 10
  timeoutSeconds: 2
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext: {{- include "scopegate.confined" . | nindent 2 }}
{{- with .Values.env }}
env: {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - { name: config, mountPath: /etc/scopegate/config, readOnly: true }
  - { name: policy, mountPath: /etc/scopegate/policy, readOnly: true }
  {{- if include "scopegate.keyfile" . }}
  - { name: keys, mountPath: /etc/scopegate/keys, readOnly: true }
  {{- end }}
  {{- if .Values.upstream.credential.secret }}
  - { name: credential, mountPath: /etc/scopegate/credential, readOnly: true }
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* The container of the API beside the gateway; `app.container` is laid over it. */ -}}
{{- define "scopegate.app" -}}
name: app
image: {{ .Values.app.image | quote }}
{{- with .Values.app.env }}
env: {{- toYaml . | nindent 2 }}
{{- end }}
lifecycle:
  preStop:
    sleep: { seconds: 10 }
resources: {{- toYaml .Values.app.resources | nindent 2 }}
securityContext: {{- include "scopegate.confined" . | nindent 2 }}
{{- end }}

{{- define "scopegate.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}
