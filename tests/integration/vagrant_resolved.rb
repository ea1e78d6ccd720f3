# Prints, as JSON, what Vagrant itself makes of a Vagrantfile for one provider: FOLDER PROVIDER.
# Nothing of the provider is started, so it need not be installed.
require "json"
require "vagrant"

folder, provider = ARGV[0], ARGV[1].to_sym
environment = Vagrant::Environment.new(cwd: folder)
resolved = environment.machine_names.map do |name|
  config = environment.vagrantfile.machine_config(name, provider, environment.boxes, nil, false)[:config]
  settings = config.vm.get_provider_config(provider)
  values = settings.instance_variables.map { |key| [key.to_s.delete_prefix("@"), settings.instance_variable_get(key)] }
  disks = config.vm.disks.map { |disk| { type: disk.type, primary: disk.primary, size: disk.size, file: disk.file } }
  [name, {
    box: config.vm.box,
    base_mac: config.vm.base_mac,
    user: config.ssh.username,
    key: config.ssh.private_key_path,
    insert_key: config.ssh.insert_key,
    networks: config.vm.networks,
    disks: disks,
    folders: config.vm.synced_folders.reject { |_, options| options[:disabled] }.keys,
    settings: values.to_h,
  }]
end
puts JSON.generate(resolved.to_h)
